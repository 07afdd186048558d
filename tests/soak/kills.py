"""The bot killed again and again, while every kind of command runs in four environments at once.

In each environment one person says one line after the other, and after each looks at the hosts,
the balancer and AWS; a kill strikes whatever is at work just then. At the end, when all is quiet,
everything else is looked at.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.bench.table import Figure, none
from tests.e2e.people import Asked, Person
from tests.e2e.world import CHANNELS, World
from tests.lab import invariants, testimony
from tests.soak.bound import Bound
from tests.soak.looking import capacities, counted
from tests.soak.turns import TURNS, Turn
from tests.soak.walk import Capacity, Walk, alive, family, house, operations, say
from tests.waiting import settled, until

ENVIRONMENTS = ("prod", "puppystream", "qa", "demo")
PAUSE = 6.0  # seconds from when it is at work to the next kill, at most
AGAIN = 1.0  # seconds to the next try, at most, where nothing was at work
RECOVERS = 3.0  # seconds from a restart until it is at work on what it found, about
LONG = 600.0  # seconds until something ends that is killed again and again
SETTLED = 30.0  # seconds that hosts and balancer may be behind
TOLD = 120.0  # seconds that Slack may be


@dataclass
class Kills:
    """What was struck: for each operation how often, and how often of these while it recovered.

    One kill -9 strikes all that is at work in that moment, in each environment.
    """

    world: World
    wanted: int
    again: int
    kinds: Sequence[str]
    dice: random.Random
    bound: Bound
    calm: threading.RLock = field(default_factory=threading.RLock)
    struck: Counter[int] = field(default_factory=Counter)
    soon: Counter[int] = field(default_factory=Counter)
    said: dict[int, str] = field(default_factory=dict)  # which kind of command
    typed: set[str] = field(default_factory=set)  # values that nobody may see
    wrong: list[str] = field(default_factory=list)
    restarts: list[float] = field(default_factory=list)  # when; each after a kill -9
    early: int = 0  # of these kills, while it recovered
    slowest: float = 0.0  # seconds from the last restart to an end
    over: threading.Event = field(default_factory=threading.Event)

    def of(self, kind: str) -> tuple[int, int]:
        """Return how often this kind was struck, and how often while it recovered."""
        mine = [number for number, said in list(self.said.items()) if said == kind]
        return sum(self.struck[n] for n in mine), sum(self.soon[n] for n in mine)

    def short(self, kind: str) -> bool:
        made, soon = self.of(kind)
        return made < self.wanted or soon < self.again

    def next(self) -> str:
        """Return the kind that was struck least of those that have not had enough, or nothing."""
        left = [kind for kind in self.kinds if self.short(kind)]
        if self.over.is_set() or self.bound.over or not left:
            return ""
        return min(left, key=lambda kind: (self.of(kind)[0], self.dice.random()))

    def go_on(self) -> None:
        """Kill the bot at random moments, and sometimes again before it is at work."""
        try:
            pause = PAUSE
            while not self.over.wait(self.dice.random() * pause):
                with self.calm:
                    pause = PAUSE if self._turn() else AGAIN
        except Exception as error:
            self.wrong.append(f"a kill: {error!r}, and all was over")
            self.over.set()

    def _turn(self) -> bool:
        share = self.again / self.wanted
        if not self._kill(self.struck):
            return False
        while self.dice.random() < share:
            time.sleep(self.dice.random() * RECOVERS)
            self.early += self._kill(self.struck, self.soon)
        self.world.bot.is_ready()
        return True

    def _kill(self, *counts: Counter[int]) -> bool:
        if not (live := [one.number for one in self.world.store.live() if one.started]):
            return False
        self.world.bot.kill()
        for count in counts:
            count.update(live)
        self.world.bot.spawn()
        self.restarts.append(time.time())
        return True


def lane(kills: Kills, environment: str, capacity: Capacity) -> None:
    """Say one line after the other in an environment, while others are wanted."""
    person = Person("U0ADA", kills.world, kills.calm)
    turns = {kind: TURNS[kind](kills.world, person, environment) for kind in TURNS}
    kind = ""
    try:
        while kind := kills.next():
            if turns[kind].count() > 2:
                kind = "scale down"
            struck(kills, turns[kind], kind, capacity)
    except Exception as error:
        kills.wrong.append(f"{environment}, {kind}: {error!r}, and all was over")
        kills.over.set()


def struck(kills: Kills, turn: Turn, kind: str, capacity: Capacity) -> None:
    """Say one line, wait for its end, and say how often it was struck and what is not as it says.

    What another line needs, or leaves, is struck too, and not counted.
    """
    capacity.least = Turn.least
    turn.ready()
    capacity.least = turn.least
    capacity.mark(turn.name)
    asked = turn.say()
    number = asked.number
    kills.said[number] = kind
    until(lambda: not alive(asked), lambda: f"#{number} ends: {asked.events[-3:]}", LONG)
    if kills.struck[number]:
        ended = max(one.finished or 0.0 for one in family(asked))
        before = max((at for at in kills.restarts if at <= ended), default=ended)
        kills.slowest = max(kills.slowest, ended - before)
    found = settled(lambda: wrong(turn, asked), SETTLED)
    kills.typed.update(turn.typed)
    kills.wrong += [f"#{number} {turn.name}: {sentence}" for sentence in found]
    say(
        f"#{number} {turn.name} in {turn.environment}: {asked.operation.state}, struck "
        f"{kills.struck[number]} times, {kills.soon[number]} of them while it recovered; {found}"
    )
    capacity.least = Turn.least
    turn.after(asked)


def wrong(turn: Turn, asked: Asked) -> Iterator[str]:
    if asked.operation.state != "done":
        yield f"it is {asked.operation.state}: {asked.events[-1]}"
    yield from turn.wrong(asked)
    held = asked.world.store.locks.of(turn.environment)
    if bool(held) != turn.locks:
        yield f"{turn.environment} is held: {held}"
    if left := asked.world.processes_of(asked.number):
        yield f"processes are left: {left}"


def evening(world: World, numbers: Sequence[int], before: invariants.Inventory) -> Iterator[str]:
    """Say what is wrong with all of it, when nobody says or kills anything any more."""
    for number in numbers:
        yield from invariants.ended(world.store, number)
    unheard, end = numbers, time.monotonic() + TOLD
    while unheard and time.monotonic() < end:
        unheard = [n for n in unheard if [*thread(world, n)]]
        time.sleep(1 if unheard else 0)
    for number in unheard:
        yield from thread(world, number)
    yield from settled(world.hosts.wrong, SETTLED)
    yield from invariants.strays(world.lab, before, operations(world.store))
    yield from invariants.locks(world.store)


def thread(world: World, number: int) -> Iterator[str]:
    return testimony.thread(world.lab.slack, world.store, number, CHANNELS)


def measure(
    wanted: int, again: int, kinds: Sequence[str] = (), seed: int = 0, minutes: float = 0
) -> Iterator[Figure]:
    """Strike each kind of command so often, and so many of these times while it recovers.

    With `minutes`, or by SIGTERM, no more lines are said, and what runs ends first.
    """
    bound = Bound(minutes)
    say(f"kills of seed {seed}")
    with house({name: {"web": 2} for name in ENVIRONMENTS}) as world:
        kills = Kills(world, wanted, again, kinds or [*TURNS], random.Random(seed), bound)
        with capacities(world.lab, ENVIRONMENTS, Turn.least) as seen:
            walk = Walk(world, Person("U0ADA", world), seen["prod"], say)
            lanes = [threading.Thread(target=lane, args=(kills, *each)) for each in seen.items()]
            killer = threading.Thread(target=kills.go_on)
            for each in (*lanes, killer):
                each.start()
            for each in lanes:
                each.join()
            kills.over.set()
            killer.join()
            walk.typed = kills.typed
        kills.wrong += evening(world, sorted(kills.said), walk.before)
        kills.wrong += [s for n in kills.said for s in invariants.plays(world.runs, n, 1)]
        walk.end()
    yield from figures(kills, walk)
    yield from counted(seen.values())


def figures(kills: Kills, walk: Walk) -> Iterator[Figure]:
    every = [*kills.wrong, *walk.wrong]
    print(*every, sep="\n")
    yield Figure(
        "kill -9s of the bot, each of all at work",
        f"{len(kills.restarts)}, {kills.early} of them while it recovered",
    )
    short = ", cut short" if kills.bound.over else ""
    for kind in kills.kinds:
        made, soon = kills.of(kind)
        ran = sum(said == kind for said in kills.said.values())
        for name, times, wanted, of in (
            ("times one was struck", made, kills.wanted, f" in {ran} operations"),
            ("of these while it recovered", soon, kills.again, ""),
        ):
            few = times < wanted
            yield Figure(
                f"{kind}: {name}", f"{times}{of}{short * few}", f"{wanted}", few, few and not short
            )
    yield Figure("longest from the last restart to an end", f"{kills.slowest:.1f} s")
    yield none("broken invariants in all", len(every), f"{len(kills.said)} operations")
