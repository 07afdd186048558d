"""What was asked, by whom, and how it ended."""

from __future__ import annotations

from bot.command import Environment, command
from bot.events import Answered, Progress
from bot.job import Job
from bot.store import Operation
from bot.words import duration


@command(permission="status", here=True)
def history(job: Job, environment: Environment | None = None) -> Progress[None]:
    """Show the last operations: what was asked, by whom, how it ended, how long it took, where."""
    now = job.now()
    past = job.history.past(environment.name if environment else "", "", 20)
    mine = [o for o in past if not o.environment or job.may("status", o.environment)]
    lines = [" · ".join(filter(None, (row(o, now), job.history.place(o)))) for o in mine]
    yield Answered(tuple(lines) or ("nothing was asked yet",))


def row(operation: Operation, now: float) -> str:
    """Return one line: number, what was said, by whom, how it ended, time taken, age."""
    state = operation.state
    if operation.started and operation.finished:
        state += f" after {duration(operation.finished - operation.started)}"
    if operation.approved_by:
        state += f", approved by {operation.approved_by}"
    ago = f"{duration(now - operation.created)} ago"
    return f"#{operation.number} {operation.line} · {operation.person} · {state} · {ago}"
