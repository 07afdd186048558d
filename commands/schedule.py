"""What the clock says, and when."""

from __future__ import annotations

from bot.command import command
from bot.events import Answered, Progress
from bot.job import Job
from bot.words import duration


@command(permission="status", here=True)
def schedule(job: Job) -> Progress[None]:
    """Show what runs by itself: when, what, in which channel, and how the last run ended."""
    rows = job.config.schedule
    if not rows:
        yield Answered(("nothing runs by itself; [[schedule]] in the config would",))
        return
    now = job.now()
    lines = []
    for row in rows:
        last = job.history.last_run(row.name)
        ended = (
            f"last {duration(now - last.created)} ago, {last.state}" if last else "has not run yet"
        )
        lines.append(f"{row.name:12} {row.at:14} {row.zone:20} {row.say}   ({ended})")
    yield Answered(tuple(lines), table=True)
