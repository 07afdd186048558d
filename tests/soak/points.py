"""Kills and lost answers at every call of AWS that a command makes: nothing may be lost by them.

A command is run once in peace, and the calls that change something are numbered: these are its
sites. Then it is run again for each of them, and there the bot is killed before the call is
executed, or after it and before its answer, or only the answer is lost; or AWS does what it was
asked only when the next bot is at work; or all that the bot has started dies with it, as in a
reboot. Afterwards the invariants must hold.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bot.adapters.ansible.place import Place
from bot.config import load
from bot.store import Store
from tests.bench.table import Figure, none
from tests.e2e.people import Asked, Person
from tests.e2e.process import Bot, Packlead
from tests.e2e.world import World, processes, read, until
from tests.lab import invariants
from tests.lab.invariants import Capacity
from tests.lab.lab import Lab

LOST, BEFORE, AFTER = "answer lost at", "killed before", "killed after"
LATE, REBOOT = "killed long before", "killed with all its processes after"
BOT, PLAYBOOK = "the bot", "the playbook"
KINDS = (LOST, BEFORE, AFTER, LATE, REBOOT)
FAULTS = {LOST: "lost", BEFORE: "before", AFTER: "after", LATE: "slow", REBOOT: "after"}
ONLY = {LATE: BOT, REBOOT: PLAYBOOK}  # of whose calls; with others' it is the same as AFTER
LATER = 4.0  # seconds after which AWS does what a bot has asked that is long dead
QUICK = {"types": {"web": {"health_timeout": 8}}}
SAID = {"done": "done", "failed": "stopped", "cancelled": "cancelled"}
MINIMUM = 2  # of web hosts, in the lab's config


@dataclass(frozen=True)
class Site:
    """The nth call of an action since a command was said."""

    action: str
    nth: int
    by: str = ""

    @property
    def looks(self) -> bool:
        return self.action.startswith(invariants.LOOKS)

    def __str__(self) -> str:
        return f"{self.action} {self.nth}" + (f" of {self.by}" if self.by else "")


@dataclass(frozen=True)
class Turn:
    """A command line, and how many web hosts there are after it."""

    line: str
    count: int


@dataclass(frozen=True)
class Point:
    """A fault at a site, in the course of a turn."""

    turn: Turn
    site: Site
    kind: str


UP, DOWN = Turn("/scale prod web 3", 3), Turn("/scale prod web 2", 2)
TWO_UP = Turn("/scale prod web 4", 4)  # two at a time: a kill may come between them


@dataclass
class Walk:
    """Walks through the sites of turns that lead to each other: up, down, up …"""

    world: World
    person: Person
    capacity: Capacity
    say: Callable[[str], object] = lambda text: None
    walked: list[Point] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    operations: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.before = invariants.inventory(self.world.lab)
        self.commit = self.world.hosts.commit("prodweb1")

    def in_peace(self, turn: Turn) -> list[Site]:
        """Run a turn without a fault; return every call of AWS that it makes."""
        log = self.world.lab.aws.log
        mark = len(log)
        asked = self._ended(self.person.says(turn.line), turn, f"{turn.line}, in peace")
        begin, end = self._playing(asked)
        seen, sites = Counter[str](), []
        for call in list(log[mark:]):
            seen[call.action] += 1
            by = PLAYBOOK if begin <= call.at <= end else BOT
            sites.append(Site(call.action, seen[call.action], by))
        return sites

    def strike(self, point: Point) -> None:
        """Run a turn with a fault at a site. How often it looks may vary, what it changes not."""
        world, turn, site, kind = self.world, point.turn, point.site, point.kind
        name = f"{turn.line}, {kind} {site}"
        self.capacity.mark(name)
        fault = world.lab.aws.fault(
            site.action,
            FAULTS[kind],
            skip=site.nth - 1,
            seconds=LATER,
            call=lambda: self._kill(kind),
        )
        began = time.monotonic()
        asked = self.person.says(turn.line)
        until(
            lambda: fault.hits or not asked.operation.live, 60, lambda: f"{name}: nothing happens"
        )
        world.lab.aws.faults.clear()
        if kind == LATE and fault.hits:
            self._kill(kind)
        if kind != LOST and fault.hits:
            until(lambda: not world.bot.lives, 10, f"{name}: the bot is not killed")
            world.bot.start()
        again = kind == REBOOT and site.by == PLAYBOOK
        self._ended(asked, turn, name, plays=1 + again)
        if fault.hits:
            self.walked.append(point)
        elif not site.looks:
            self.wrong.append(f"{name}: it never came there")
        reached = f"{time.monotonic() - began:.1f} s" if fault.hits else "it never came there"
        self.say(f"{name}: {reached}")

    def _kill(self, kind: str) -> None:
        self.world.bot.kill()
        holder = self.world.store.holder("prod")
        if kind == REBOOT and holder:
            for process in started_by(self.world, holder.number):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)

    def _ended(self, asked: Asked, turn: Turn, name: str, plays: int = 1) -> Asked:
        """Wait for its end, and look whether all is as it must be."""
        until(lambda: not asked.operation.live, 90, lambda: f"{name}: it ends")
        self.operations.append(asked.operation.id)
        found = list(self._broken(asked, turn, plays))
        until_well = time.monotonic() + 5  # hosts, balancer and Slack are a moment behind
        while found and time.monotonic() < until_well:
            time.sleep(0.1)
            found = list(self._broken(asked, turn, plays))
        self.wrong += [f"{name}: {sentence}" for sentence in found]
        return asked

    def _broken(self, asked: Asked, turn: Turn, plays: int) -> Iterator[str]:
        world, lab, operation = self.world, self.world.lab, asked.operation
        if operation.state != "done":
            yield f"it is {operation.state}: {asked.events[-1]}"
        yield from invariants.fleet(lab, "prod", "web", turn.count, self.commit)
        yield from invariants.strays(lab, self.before, self.operations)
        yield from invariants.locks(world.store)
        yield from invariants.ended(world.store, operation.number)
        yield from invariants.plays(world.runs, operation.number, plays)
        if left := world.processes_of(operation.number):
            yield f"processes are left: {left}"
        try:
            card = asked.card.wording
        except AssertionError as error:
            yield str(error)
        else:
            if SAID[operation.state] not in card:
                yield f"Slack's card does not say {SAID[operation.state]}: {card}"

    def _playing(self, asked: Asked) -> tuple[float, float]:
        """Return from when to when its playbooks were at work, by the clock of AWS's log."""
        offset = time.time() - time.monotonic()
        times = [
            json.loads(line)["at"] - offset
            for run in self.world.runs_of(asked.number)
            for line in (run / "events.jsonl").read_text().splitlines()
        ]
        return (min(times), max(times)) if times else (0.0, 0.0)


def measure() -> Iterator[Figure]:
    """Walk through every site with every fault, and kill the bot at a sample of the reads."""
    with house() as world:
        ada = Person("U0ADA", world)
        ada.says("/image prod web").ends("done")
        mark = len(world.lab.aws.log)
        with Capacity(world.lab, "prod", MINIMUM) as capacity:
            walk = Walk(world, ada, capacity, say)
            for up, looks in ((UP, True), (TWO_UP, False)):
                ups, downs = (
                    [p for p in points(turn, walk.in_peace(turn)) if looks or not p.site.looks]
                    for turn in (up, DOWN)
                )
                for point in alternately(ups, downs):
                    walk.strike(point)
        walk.wrong += invariants.effects(world.lab, world.store, mark)
    print(*walk.wrong, *capacity.broken[:20], sep="\n")
    yield none("c. broken invariants, scaling up and down", len(walk.wrong), f"{len(walk.walked)}")
    few = len(capacity.broken)
    yield none("g. samples below the minimum", few, f"{len(capacity.samples)}")


def alternately(ups: list[Point], downs: list[Point]) -> Iterator[Point]:
    """Yield the points so that an up is followed by a down; the shorter way is walked again."""
    for number in range(max(len(ups), len(downs))):
        yield from (ups[number % len(ups)], downs[number % len(downs)])


def points(turn: Turn, sites: Sequence[Site]) -> Iterator[Point]:
    """Yield each change with each fault, and a kill at the first and the last read of each kind."""
    for site in sites:
        if not site.looks:
            for kind in KINDS:
                if kind not in ONLY or site.by == ONLY[kind]:
                    yield Point(turn, site, kind)
    for action in dict.fromkeys(site.action for site in sites if site.looks):
        mine = [site for site in sites if site.action == action]
        for site in dict.fromkeys((mine[0], mine[-1])):
            yield Point(turn, site, BEFORE)


@contextlib.contextmanager
def house() -> Iterator[World]:
    """A lab, and a bot in it that may be killed."""
    with Lab(config=QUICK) as lab, contextlib.ExitStack() as stack:
        lab.slack.install(json.loads(Packlead(lab.env, "manifest").ends(0).out))
        config = load(lab.config)
        Path(config.data).mkdir(parents=True, exist_ok=True)
        store = Store(f"sqlite:///{config.data}/packlead.db")
        bot = Bot(lab.env, lab.folder / "bot.log")
        stack.callback(store.close)
        stack.callback(bot.stop)
        bot.start()
        yield World(lab, config, store, bot)


def started_by(world: World, number: int) -> list[int]:
    """Return the processes that an operation's playbooks are."""
    runs = world.runs_of(number)
    names = [str(path).encode() for run in runs for path in (run, Place(run).path)]
    return [
        int(process.name)
        for process, line in processes()
        if any(name in line.encode() or name in read(process / "environ") for name in names)
    ]


def say(text: str) -> None:
    print(text, flush=True)
