"""Builds that are bad in five ways: each is stopped at its first host, and nobody notices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bot.events import Output
from tests.bench.asked import Asker, Deploy
from tests.bench.bot import Bot
from tests.bench.table import Figure, none
from tests.lab.lab import Lab
from tests.lab.load import Load
from tests.soak.looking import serving

# What each says in its output: the thread must show that.
SAYS = {
    "exits": "there is no file LICENCE",
    "500": "no such table: notes",
    "hangs": "gives no answer",
    "install": "kennel-package-that-nobody-made",
    "migration": "3 notes have no date",
}
LEAVE, SWITCH = "leave the balancer", "switch to the release"
QUICK = {"types": {"web": {"health_timeout": 8}}}


@dataclass(frozen=True)
class World:
    """What runs where: links on the hosts' disks, what web hosts answer, how they are balanced."""

    links: dict[str, str]
    answers: dict[str, str]
    health: dict[str, str]


def measure(times: int) -> Iterator[Figure]:
    """Deploy each bad build so often; everything must be as before, each time."""
    wrong: list[str] = []
    count = 0
    with Lab(config=QUICK) as lab, Bot(lab) as bot, Load(lab.balancers["prod"]) as load:
        asker = Asker(lab, bot)
        before = seen(lab)
        for kind in [kind for _ in range(times) for kind in SAYS]:
            failed = load.wrong
            ended = asker.deploy(lab.git.bad_build(kind))
            asker.wait_idle()
            count += 1
            found = list(faults(kind, ended, before, seen(lab)))
            print(
                f"{kind}: {ended.state} after {ended.seconds:.1f} s, {len(touched(ended))} host "
                f"touched, {load.wrong - failed} requests failed; {' '.join(found) or 'well'}",
                flush=True,
            )
            wrong += [f"{kind}: {fault}" for fault in found]
        asker.close()
    for line in [*load.failures, *wrong]:
        print(line)
    yield none("c. bad builds that were not stopped as they should", len(wrong), f"{count}")
    yield none("c. failed requests under them", load.wrong, f"{load.asked}")


def faults(kind: str, ended: Deploy, before: World, after: World) -> Iterator[str]:
    """Say everything that is not as it should be after a bad build."""
    if ended.state != "failed":
        yield f"it ended as {ended.state}."
    if len(hosts := touched(ended)) > 1:
        yield f"it touched {', '.join(sorted(hosts))}."
    if after.links != before.links:
        yield f"what is live is {after.links}, it was {before.links}."
    if after.answers != before.answers:
        yield f"web hosts answer {after.answers}, it was {before.answers}."
    if set(after.health.values()) != {"healthy"}:
        yield f"the balancer says {after.health}."
    failed = [e.event for e in ended.entries if isinstance(e.event, Output) and not e.event.ok]
    if not failed:
        yield "no task failed."
    for one in failed[:1]:
        last = one.text.strip().splitlines()[-1][:60]
        for part in (one.host, one.task, last, SAYS[kind]):
            if part not in ended.thread:
                yield f"the thread does not say {part!r}:\n{ended.thread}\n"


def touched(ended: Deploy) -> set[str]:
    """Return the hosts that left the balancer or were switched."""
    outputs = [entry.event for entry in ended.entries if isinstance(entry.event, Output)]
    return {one.host for one in outputs if one.task in (LEAVE, SWITCH)}


def seen(lab: Lab) -> World:
    """Look at the hosts themselves, not at what the bot says of them."""
    links = {
        name: (lab.machines.host(name).srv / "app/current").readlink().name for name in lab.hosts
    }
    return World(links, serving(lab), lab.fleet.health("prod"))
