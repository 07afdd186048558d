"""What the clock says, and when."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from bot.command import command
from bot.config import Schedule
from bot.events import Answered, Progress
from bot.frozen import zone_of
from bot.job import Job
from bot.store import Operation
from bot.words import duration

LATE = 120.0  # seconds after which a time that has passed means that no clock runs


@command(permission="status", here=True)
def schedule(job: Job) -> Progress[None]:
    """Show what runs by itself: when next, in your time zone, what, and how the last run ended."""
    unseen = {name for name in job.config.environments if not job.may("status", name)}
    rows = [row for row in job.config.schedule if not unseen & set(row.say.split())]
    if not rows:
        yield Answered(("nothing runs by itself; [[schedule]] in the config would",))
        return
    now = job.now()
    zone = zone_of(job.speaker.zone)
    lines = tuple(
        line(row, job.history.last_run(row.name), job.history.next_run(row.name), now, zone)
        for row in rows
    )
    yield Answered(lines, table=True)


def line(
    row: Schedule,
    last: Operation | None,
    next_at: float | None,
    now: float,
    zone: ZoneInfo | None,
) -> str:
    """Return one line; times in Unix seconds."""
    if next_at is None or next_at < now - LATE:
        coming = "no clock runs"
    else:
        coming = f"{datetime.fromtimestamp(next_at, UTC).astimezone(zone):%a %d %b %H:%M %Z}"
    ended = f"last {duration(now - last.created)} ago, {last.state}" if last else "not yet"
    return f"{row.name:12} {coming:22} {row.say}   ({row.at} {row.zone}; {ended})"
