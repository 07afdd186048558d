"""Play a part of a roll on some of its hosts; rolls over large fleets say it, not people."""

from __future__ import annotations

from bot.command import Environment, Reason, command
from bot.errors import Failed
from bot.events import Done, Progress
from bot.job import Job
from bot.words import count, duration


@command(permission="deploy", hidden=True, part=True)
def shard(job: Job, environment: Environment, part: Reason) -> Progress[None]:
    """Play a part of a roll on some of its hosts."""
    outcome = job.shards.take()
    if not outcome.ok:
        first = outcome.failures[0]
        raise Failed(f"{part}: {first.task} on {first.host}: {first.text}")
    hosts = count(len(outcome.hosts), "host")
    yield Done(f"{part}: {hosts} of {environment.name}, after {duration(outcome.seconds)}")
