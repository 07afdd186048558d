"""Answer a question with yes: the same line again, about exactly what was asked."""

from __future__ import annotations

from bot.command import OperationNumber, Token, command
from bot.errors import Misunderstood
from bot.events import Answered, Progress
from bot.job import Job


@command(here=True)
def approve(job: Job, operation: OperationNumber, token: Token) -> Progress[None]:
    """Say yes to a question; the button says it for you.

    It is asked again if the world has changed since, and yes counts once.
    """
    asked = job.history.get(operation)
    if asked is None:
        raise Misunderstood(f"there is no operation #{operation}", "history shows what was asked")
    job.authorise(asked)
    question = job.history.question(asked)
    if question is None or question.token != token:
        raise Misunderstood(
            f"#{operation} asked nothing of that kind", f"say it again: {asked.line}"
        )
    again = job.say_again(asked, f"{asked.line} --sure {token}", "approved")
    yield Answered((f"{asked.line}: accepted as #{again.number}",))
