"""Walks commands into faults: one is said, struck at some point, and must come through it.

A Turn (turns.py) says which command, and what must be so after it; a Blow (blows.py) says where it
is struck and how. After each strike the invariants must hold, whatever was killed or lost.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

from bot.store import Operation, Store
from tests.e2e.canaries import heart, own_secrets, swept
from tests.e2e.people import Asked, Person
from tests.e2e.process import Packlead
from tests.e2e.world import CHANNELS, World
from tests.lab import invariants, testimony
from tests.lab.capacity import Capacity
from tests.lab.fleet import Counts
from tests.soak import forked
from tests.soak.blows import Blow
from tests.soak.bound import Bound
from tests.soak.houses import small_house
from tests.soak.turns import Turn
from tests.waiting import settled, until

SMALL: Counts = {"prod": {"web": 2, "celery": 1}}
PATIENCE = 240.0  # seconds until something ends, whatever was done to it
SETTLE = 8.0  # seconds that hosts, balancer and Slack may be behind


@dataclass(frozen=True)
class Strike:
    """What became of one blow.

    `recovery` is in seconds from the last restart to its end; None without a restart.
    """

    kind: str
    name: str
    reached: bool
    recovery: float | None
    broken: tuple[str, ...]
    twice: bool  # it was killed again while it recovered


@dataclass
class Walk:
    """Turns in a world, each in peace or struck, and all that was not as it must be."""

    world: World
    person: Person
    capacity: Capacity
    say: Callable[[str], object] = lambda text: None
    strikes: list[Strike] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    typed: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.before = invariants.inventory(self.world.lab)
        self.mark = self.since = len(self.world.lab.aws.log)
        self.heard = len(self.world.lab.slack.calls)
        self.told = newest_row(self.world.store)

    def in_peace(self, turn: Turn) -> Asked:
        """Run a turn without a fault.

        What AWS was asked stands in its log from `since` on, and in Slack's from `heard` on.
        """
        self._ready(turn)
        self.since = len(self.world.lab.aws.log)
        self.heard = len(self.world.lab.slack.calls)
        self.capacity.mark(f"{turn.name}, in peace")
        asked = turn.say()
        self._ended(asked)
        self.wrong += [f"{turn.name}, in peace: {s}" for s in self._settled(turn, asked, 1, False)]
        self._after(turn, asked)
        return asked

    def strike(self, turn: Turn, blow: Blow, again: float | None = None) -> Strike:
        """Run a turn into a blow; `again` seconds after the restart the bot is killed once more."""
        self._ready(turn)
        self.capacity.mark(f"{turn.name}: {blow}")
        blow.arm(self.world)
        try:
            asked = turn.say()
            blow.said.set()
            until(
                lambda: blow.over or not (alive(asked) or (blow.told and untold(asked))),
                f"{blow} comes or never", PATIENCE,
            )  # fmt: skip
        finally:
            blow.disarm()
        name = f"{turn.name}: {blow}"
        restarted, twice = None, False
        if not self.world.bot.lives:
            restarted = time.time()
            self.world.bot.spawn()
            if again is not None:
                time.sleep(again)
                if twice := alive(asked) and self.world.bot.lives:
                    self.world.bot.kill()
                    restarted = time.time()
                    self.world.bot.spawn()
            self.world.bot.is_ready()
        self._ended(asked)
        broken = self._settled(turn, asked, 2 if blow.loses else 1, blow.loses)
        recovery, end = None, max(o.finished or 0.0 for o in family(asked))
        if restarted:
            recovery = max(0.0, end - restarted)
        made = Strike(turn.name, name, blow.hit, recovery, tuple(broken), twice)
        self.strikes.append(made)
        self.wrong += [f"{name} (#{asked.number}): {sentence}" for sentence in broken]
        took = f"recovered in {recovery:.1f} s" if recovery is not None else "nobody was killed"
        self.say(
            f"{name}{', and again' * twice}: {asked.operation.state}, "
            f"{took if blow.hit else 'it never came there'}{'; '.join(['', *broken])}"
        )
        self.typed.update(turn.typed)
        self._after(turn, asked)
        return made

    def through(self, bound: Bound, strikes: Iterable[tuple[Turn, Blow]]) -> None:
        """Strike until the bound is over, and look at all of it. What never ends is told, and ends
        the walk; where somebody ended it, perhaps with all of the lab, it is only said."""
        name = "before the first"
        try:
            for turn, blow in strikes:
                if bound.over:
                    break
                name = turn.name
                self.strike(turn, blow)
            self.end()
        except Exception as error:
            self.say(f"cut off, {name}: {error!r}")
            if not bound.told:
                self.wrong.append(f"{name}: {error!r}, and all was over")

    def end(self) -> None:
        """Look at what can be told only of all of it together."""
        self.wrong += as_a_whole(self.world, self.mark, self.told, map(heart, self.typed))

    def _ready(self, turn: Turn) -> None:
        turn.ready()
        self.capacity.least = turn.least

    def _after(self, turn: Turn, asked: Asked) -> None:
        self.capacity.least = Turn.least  # what is put back may be a roll
        turn.after(asked)

    def _ended(self, asked: Asked) -> None:
        until(
            lambda: not alive(asked),
            lambda: f"#{asked.number} ends, which told last {asked.events[-4:]}",
            PATIENCE,
        )

    def _settled(self, turn: Turn, asked: Asked, plays: int, lost: bool) -> list[str]:
        """Return what is broken, also after a moment: hosts and Slack are a little behind."""
        return settled(lambda: self._broken(turn, asked, plays, lost), SETTLE)

    def _broken(self, turn: Turn, asked: Asked, plays: int, lost: bool) -> Iterator[str]:
        world, lab, operation = self.world, self.world.lab, asked.operation
        if operation.state != "done" and not (lost and operation.state == "failed"):
            yield f"it is {operation.state}: {asked.events[-1]}"
        yield from turn.wrong(asked)
        yield from world.hosts.wrong()
        yield from invariants.strays(lab, self.before, operations(world.store))
        locked = [lock.environment for lock in world.store.locks.all()]
        if locked != (["prod"] if turn.locks and operation.state == "done" else []):
            yield f"locked is {locked}"
        for one in family(asked):
            yield from invariants.ended(world.store, one.number)
        yield from invariants.plays(world.runs, operation.number, plays)
        if left := world.processes_of(operation.number):
            yield f"processes are left: {left}"
        yield from testimony.thread(lab.slack, world.store, operation.number, CHANNELS)


def newest_row(store: Store) -> int:
    """Return the number of the newest row of the audit."""
    return max((row.number for row in store.audit.rows()), default=0)


def as_a_whole(world: World, mark: int, told: int, words: Iterable[bytes]) -> Iterator[str]:
    """Say what is wrong with all that was done since an entry of AWS's log and a row of the audit.

    `words` are what nobody may see, besides Packlead's own.
    """
    calls = world.lab.aws.log[mark:]
    yield from testimony.framed(calls, world.store, told)
    yield from testimony.effects(calls, world.store)
    yield from invariants.alone(world.runs)
    yield from swept(world, [*own_secrets(world), *words])
    yield from changed(world)


def changed(world: World) -> Iterator[str]:
    """Say what of the audit is not as it was written; only the bot has the key to tell."""
    try:
        Packlead(world.lab.env, "audit", "verify").ends(0)
    except AssertionError as broken:
        yield f"the audit was changed: {broken}"


def operations(store: Store) -> Collection[str]:
    """Return the ids of all that was accepted."""
    return {id for one in store.history(limit=10_000) for id in (one.id, f"{one.id}/image")}


def family(asked: Asked) -> list[Operation]:
    """Return an operation and what followed it up."""
    return [asked.operation, *asked.world.store.children(asked.operation.id)]


def untold(asked: Asked) -> bool:
    """Whether Slack does not show yet how all of it has ended."""
    notes = [asked.world.store.note("slack", one.id) for one in family(asked) if one.audience]
    return not all(note.get("finished") for note in notes)


def alive(asked: Asked) -> bool:
    return any(operation.live for operation in family(asked))


def house(fleet: Counts | None = None) -> contextlib.AbstractContextManager[World]:
    """A small lab, in which images may be pruned as soon as they are there, and a bot in it."""
    return small_house(fleet or SMALL, {"images": {"young": 0}}, forked.begin)


def say(text: str) -> None:
    print(text, flush=True)
