"""Answer a question with yes: what was asked about goes on, exactly as it was asked about."""

from __future__ import annotations

from bot.command import OperationNumber, Token, command
from bot.errors import Misunderstood, Refused
from bot.events import Answered, Progress
from bot.job import Job
from bot.words import listed


@command(here=True)
def approve(job: Job, operation: OperationNumber, token: Token) -> Progress[None]:
    """Say yes to a question; the button says it for you.

    Where the policy wants a second person, it is somebody else than who asked. Yes counts once, for
    what was asked about: it is asked again if that has changed since.
    """
    asked = job.history.get(operation)
    if asked is None:
        raise Misunderstood(f"there is no operation #{operation}", "history shows what was asked")
    question = job.history.question(asked)
    if question is None or question.token != token:
        raise Misunderstood(
            f"#{operation} asked nothing of that kind", f"say it again: {asked.line}"
        )
    if question.second:
        able = listed(question.approvers)
        if job.speaker.name == asked.person:
            raise Refused(f"{asked.person} asked for it: somebody else must say yes", f"ask {able}")
        if not job.people.is_one(job.speaker, question.approvers):
            raise Refused(f"{job.speaker.name} may not say yes to it", f"ask {able}")
    else:
        job.authorise(asked)
    if question.until and question.until < job.now():
        raise Refused(f"#{operation} waited too long for a yes", f"say it again: {asked.line}")
    again = job.history.approve(asked, token)
    if again is None:
        raise Refused(
            f"#{operation} was answered already", "status shows what runs, history how it ended"
        )
    yield Answered((f"{asked.line}: it is #{again.number} now",))
