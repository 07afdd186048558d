"""Say something in an environment's channel; commands say it, not people."""

from __future__ import annotations

from bot.command import Environment, Reason, command
from bot.events import Done, Planned, Progress
from bot.job import Job


@command(permission="lock", hidden=True)
def tell(_job: Job, environment: Environment, text: Reason) -> Progress[None]:
    """Say something in an environment's channel."""
    yield Planned(text)
    yield Done(f"told in the channel of {environment.name}")
