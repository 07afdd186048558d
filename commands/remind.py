"""Remind of keys that have grown older than they may: for the schedule, which is silent else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from bot.adapters.aws.records import Secret
from bot.command import Environment, command
from bot.config import Key
from bot.events import Answered, Done, Progress
from bot.job import Job
from bot.words import count, duration

DAY = 86400.0


@command(permission="status")
def remind(job: Job, environment: Environment) -> Progress[None]:
    """Name the keys of an environment that are older than `max_age_days` of the config lets them.

    Said by the schedule it is told in the environment's channel, and only where there are such.
    """
    name = environment.name
    rules = {key: rule for key, rule in job.config.keys.items() if rule.max_age_days}
    limited = [one for one in job.secrets.keys(name) if one.name in rules]
    values = [since(one, job.secrets.versions(name, one.name)) for one in limited]
    now = job.now()
    found = late(values, rules, now)
    if not found:
        yield Done(f"no key of {name} is older than it may be")
        return
    older = f"{count(len(found), 'key')} of {name} {'is' if len(found) == 1 else 'are'} older than"
    yield Answered(
        (
            f"{older} {'it' if len(found) == 1 else 'they'} may be:",
            *(line(one, rules[one.name], name, now) for one in found),
        )
    )


def since(key: Secret, versions: Iterable[Secret]) -> Secret:
    """Return a key with the time at which its value was new: what came back is as old as before."""
    first = next((one.at for one in versions if one.version == key.root), key.at)
    return replace(key, at=min(first, key.at))


def late(keys: Iterable[Secret], rules: Mapping[str, Key], now: float) -> list[Secret]:
    """Return the keys that are older than they may be, the oldest first."""
    found = [one for one in keys if now - one.at > rules[one.name].max_age_days * DAY]
    return sorted(found, key=lambda one: one.at)


def line(key: Secret, rule: Key, environment: str, now: float) -> str:
    """Say of one key how old it is, and what to type."""
    by = f", by {key.by}" if key.by else ""
    return (
        f"{key.name} is {duration(now - key.at)} old (version {key.version}{by}), "
        f"{rule.max_age_days} d is the most: rotate-key {key.name} {environment}"
    )
