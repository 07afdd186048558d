"""The keys of an environment: which there are, and how old; set one, or take one away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bot.adapters.aws.records import Secret
from bot.command import Environment, KeyName, Reason, command
from bot.errors import Misunderstood, Refused, did_you_mean
from bot.events import Answered, Progress
from bot.job import Job
from bot.rotation import rotate
from bot.rotation import unset as take_away
from bot.words import duration


def needs_value(arguments: Mapping[str, Any]) -> bool:
    sets = arguments.get("set") and not arguments.get("generate")
    return bool(sets and arguments.get("key") and not arguments.get("unset"))


def only_looks(arguments: Mapping[str, Any]) -> bool:
    return not (arguments.get("set") or arguments.get("unset"))


@command(permission="config", changes="environment", value=needs_value, looks=only_looks)
def config(
    job: Job,
    environment: Environment | None = None,
    key: KeyName | None = None,
    *,
    set: bool = False,
    unset: bool = False,
    generate: bool = False,
    force: Reason | None = None,
) -> Progress[None]:
    """List the keys of an environment with version, age and who changed them; never a value.

    Without ENV it lists those of all that you may see, with KEY the versions of one. --set gives it
    a new value, as rotate-key does, and makes a key that is new; --unset takes one away from the
    hosts and the store.
    """
    if not (set or unset):
        if generate:
            raise Misunderstood("--generate belongs to --set", "config ENV KEY --set --generate")
        yield listing(job, environment.name, key) if environment else everything(job)
        return
    if environment is None:
        raise Misunderstood("which ENV?", "config ENV KEY --set")
    if key is None:
        raise Misunderstood("which KEY?", f"config {environment.name} KEY --set")
    if set and unset:
        raise Misunderstood("--set and --unset at once", "say one of them")
    if unset:
        yield from take_away(job, environment, key, force)
    else:
        yield from rotate(job, environment, key, generate=generate, force=force)


def everything(job: Job) -> Answered:
    """Return the keys of each environment whose keys this person may see."""
    told: list[str] = []
    for name in (e for e in job.config.environments if job.may("config", e)):
        told += ["", f"{name}:", *(f"  {line}" for line in listing(job, name, None).lines)]
    return Answered(tuple(told[1:]), table=True)


def listing(job: Job, environment: str, key: str | None) -> Answered:
    """Return the keys of an environment, or the versions of one of them, as a table."""
    now = job.now()
    known = job.secrets.keys(environment)
    if key is None:
        lines = tuple(rows(((one.name, one) for one in known), now))
        return Answered(lines or (f"{environment} has no keys yet",), table=bool(lines))
    found = job.secrets.versions(environment, key)
    if not found:
        near = did_you_mean(key, [one.name for one in known])
        raise Refused(f"{environment} has no {key}", near or f"config {environment} lists them")
    return Answered(tuple(rows(((key, one) for one in reversed(found)), now)), table=True)


def rows(named: Iterable[tuple[str, Secret]], now: float) -> list[str]:
    """Return one line a version, in columns."""
    table = [
        (
            name,
            f"version {one.version}",
            f"{duration(max(0.0, now - one.at))} old",
            one.by or "somebody",
            one.fingerprint + (f", version {one.again} again" if one.again else ""),
        )
        for name, one in named
    ]
    wide = [max(len(row[place]) for row in table) for place in range(5)] if table else []
    return ["  ".join(t.ljust(w) for t, w in zip(r, wide, strict=True)).rstrip() for r in table]
