"""Which environments somebody keeps."""

from __future__ import annotations

from bot.command import command
from bot.events import Answered, Progress
from bot.job import Job
from bot.words import duration, lock_line


@command(permission="status", here=True)
def locks(job: Job) -> Progress[None]:
    """Show who keeps which environment, since when and what for, and what runs in the others."""
    now = job.now()
    lines = [
        lock_line(held, now) for held in job.history.locks() if job.may("status", held.environment)
    ]
    lines += [
        f"#{o.number} {o.line}, by {o.person}, {o.state} since {duration(now - o.created)}"
        for o in job.history.live()
        if o.exclusive and job.may("status", o.environment)
    ]
    yield Answered(tuple(lines) or ("no environment is locked, and nothing runs",))
