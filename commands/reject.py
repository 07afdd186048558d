"""Answer a question with no."""

from __future__ import annotations

from bot.command import OperationNumber, command
from bot.errors import Misunderstood, Refused
from bot.events import Answered, Progress
from bot.job import Job


@command(here=True)
def reject(job: Job, operation: OperationNumber) -> Progress[None]:
    """Say no to a question: nothing is done, as nothing was."""
    asked = job.history.get(operation)
    question = job.history.question(asked) if asked and asked.state != "running" else None
    if asked is None or question is None:
        raise Misunderstood(f"#{operation} asked nothing", "history shows what was asked")
    if not (question.second and job.people.is_one(job.speaker, question.approvers)):
        job.authorise(asked)
    if job.history.cancel(asked, "who said no") != "cancelled":
        raise Refused(f"#{operation} was answered already", "history shows how it ended")
    yield Answered((f"{asked.line}: nothing was done",))
