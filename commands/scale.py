"""Scale one type of an environment to a number of instances."""

from __future__ import annotations

from dataclasses import dataclass

from bot.adapters.aws.records import Fleet, Instance
from bot.command import Amount, Count, Environment, HostType, Reason, command
from bot.config import HostType as Settings
from bot.errors import Misunderstood, Refused
from bot.events import Answered, Note, Progress
from bot.job import Job
from bot.scaling import gather, grow
from bot.shrinking import shrink
from bot.words import listed


@dataclass(frozen=True)
class Change:
    """What scaling does: names that come, or instances that go; neither where all is as asked."""

    coming: tuple[str, ...] = ()
    going: tuple[Instance, ...] = ()


@command(permission="scale", changes="environment")
def scale(
    job: Job,
    environment: Environment,
    type: HostType | None = None,
    number: Count | None = None,
    *,
    force: Reason | None = None,
) -> Progress[None]:
    """Scale a type of an environment to a number of instances: 3, +1 or -1.

    New instances start from the newest image of the type's master, come to the live commit and join
    the balancer when they are healthy. Those that go leave the balancer and finish what they have
    begun. Without TYPE and COUNT it shows the counts, as lines that can be said again. More than
    half of a type never goes unasked; --force "REASON" passes over the environment's own policy.
    """
    fleet = job.aws.fleet(environment.name)
    if type is None or number is None:
        if type is not None:
            raise Misunderstood("scale needs a COUNT", "usage: scale ENV TYPE COUNT")
        yield Answered(counts(fleet))
        return
    settings = job.config.types[type]
    present = tuple(i for i in fleet.of(type) if i.state in ("pending", "running"))
    change = decide(fleet, type, number, settings)
    names = change.coming or tuple(i.name for i in change.going)
    most = len(change.going) * 2 > len(present)
    if names and (
        question := job.settle(
            environment,
            [*(f"{n} comes" for n in change.coming), *(f"{i.name} ({i.id})" for i in change.going)],
            f"this takes {listed(names)} away, {len(names)} of {len(present)} {type}: sure?"
            if change.going
            else f"this makes {listed(names)} beside {len(present)} {type}: sure?",
            force=None if most else force,
            always=most,
        )
    ):
        yield question
        return
    if force:
        over = "passes over the policy" if names and not most else "has no policy to pass over"
        yield Note(f"{job.speaker.name} {over}: {force}")
    if change.coming:
        yield from grow(job, environment, fleet, type, change.coming)
    elif change.going:
        yield from shrink(job, environment, present, change.going)
    else:
        yield from gather(job, environment, type, present)


def counts(fleet: Fleet) -> tuple[str, ...]:
    """Return what would be said to come to today's counts."""
    lines = tuple(f"scale {fleet.environment} {t} {len(fleet.of(t))}" for t in fleet.types())
    return lines or (f"{fleet.environment} has no instances",)


def decide(fleet: Fleet, type: str, number: Amount, settings: Settings) -> Change:
    """Decide which instances come or go; raises Refused outside of the type's bounds."""
    there = fleet.of(type)
    present = [i for i in there if i.state in ("pending", "running")]
    wanted = number.of(len(present))
    if wanted < settings.minimum:
        raise Refused(
            f"{fleet.environment} {type} has a minimum of {settings.minimum}, {wanted} is below it",
            f"scale {fleet.environment} {type} {settings.minimum}, or change types.{type}.minimum",
        )
    if wanted > settings.maximum:
        raise Refused(
            f"{fleet.environment} {type} has a maximum of {settings.maximum}, {wanted} is above it",
            f"scale {fleet.environment} {type} {settings.maximum}, or change types.{type}.maximum",
        )
    more = wanted - len(present)
    if more > 0:
        taken = {i.number for i in there}
        free = (n for n in range(1, 10_000) if n not in taken)
        return Change(coming=tuple(f"{fleet.environment}{type}{next(free)}" for _ in range(more)))
    master = fleet.master(type)
    can_go = sorted((i for i in present if i != master), key=lambda i: -i.number)
    return Change(going=tuple(can_go[:-more] if more else ()))
