"""What was asked, by whom, and how it ended."""

from __future__ import annotations

from bot.command import Environment, command
from bot.events import Answered, Progress
from bot.job import Job
from bot.store import Operation
from bot.words import duration


@command(permission="status", here=True)
def history(job: Job, environment: Environment | None = None) -> Progress[None]:
    """Show the last operations: what was asked, by whom, how it ended, how long it took."""
    now = job.now()
    past = job.history.past(environment.name if environment else "", "", 20)
    mine = [o for o in past if not o.environment or job.may("status", o.environment)]
    yield Answered(tuple(row(o, now) for o in mine) or ("nothing was asked yet",), table=True)


def row(operation: Operation, now: float) -> str:
    """Return one line: number, age, person, end, time taken, and what was said."""
    took = ""
    if operation.started and operation.finished:
        took = duration(operation.finished - operation.started)
    return (
        f"#{operation.number:<5} {duration(now - operation.created) + ' ago':16} "
        f"{operation.person:10} {operation.state:10} {took:11} {operation.line}"
    )
