"""Give a key of the application a new value, on every host that reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.command import Environment, KeyName, Reason, command
from bot.errors import Misunderstood
from bot.events import Progress
from bot.job import Job
from bot.rotation import rotate


def needs_value(arguments: Mapping[str, Any]) -> bool:
    return not (arguments.get("generate") or arguments.get("undo"))


@command(permission="rotate-key", changes="environment", value=needs_value)
def rotate_key(
    job: Job,
    key: KeyName,
    environment: Environment | None = None,
    *,
    generate: bool = False,
    undo: bool = False,
    force: Reason | None = None,
) -> Progress[None]:
    """Give a key a new value: stored as a new version, brought to every host, rolling.

    The value is asked for in a private form, or in a terminal without echo; it is never typed in
    the line. --generate makes a random one, --undo brings back the version before. A host that does
    not get well with it sends all of them back to the version they had.
    """
    if environment is None:
        raise Misunderstood("rotate-key needs an ENV", f"rotate-key {key} ENV")
    if generate and undo:
        raise Misunderstood("--generate and --undo are two different things", "say one of them")
    yield from rotate(job, environment, key, generate=generate, undo=undo, force=force)
