"""Say something in an environment's channel; commands say it, not people."""

from __future__ import annotations

from bot.command import Environment, Name, Reason, command
from bot.events import Called, Done, Planned, Progress
from bot.job import Job


@command(permission="lock", hidden=True)
def tell(
    _job: Job,
    environment: Environment,  # noqa: ARG001  # in whose channel the card is
    text: Reason,
    *,
    to: Name | None = None,
) -> Progress[None]:
    """Say something in an environment's channel; --to calls somebody."""
    yield Planned(text)
    if to:
        yield Called("this is for", (to,))
    yield Done("")
