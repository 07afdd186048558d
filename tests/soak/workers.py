"""Three workers on Postgres, one of them killed every few seconds, while operations go on.

A killed one comes back to its data folder at once, or only when its peers have taken over; or its
whole machine is lost with what it played, and another one comes in its place. Now and then it is
the one that hears Slack. Afterwards: has all ended, and is told; did two operations work in an
environment at the same time, or two playbooks; was anything done that nobody had said or asked?
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from bot.store import Operation
from tests.bench.table import Figure, none
from tests.e2e.people import Person
from tests.e2e.process import Packlead
from tests.e2e.several import Machine, Several, several, spans
from tests.lab import invariants, testimony
from tests.lab.keys import put_first
from tests.lab.lab import Lab
from tests.lab.postgres import Postgres
from tests.soak import forked
from tests.soak.kills import evening
from tests.soak.looking import capacities, counted
from tests.waiting import until

LEASE = 15.0  # seconds, as where nobody says otherwise
KINDS = ("back at once", "back late", "lost", "of Slack's")  # lost: with its machine
ODDS = (17, 1, 1, 1)
WORKERS = 3
MARGIN = 0.02  # seconds by which the lines of two runs may be late
ENVIRONMENTS = ("prod", "puppystream", "qa", "demo")
KEY = "TWITTER_KEY"
ROTATE = f"/rotate-key {KEY} {{}} --generate"
SCALE = "/scale {} web {}"
LINES = ("/deploy {} master", "/restart {}", "/deploy {} master", ROTATE, SCALE)
CONFIG = {"types": {"web": {"health_timeout": 10}}}


class Killer:
    """Kills, restarts and replaces workers, until it is told to stop.

    The one that hears Slack is killed only in moments in which nobody says anything (`calm`).
    """

    def __init__(self, world: Several, seed: int, every: float, calm: threading.RLock) -> None:
        self.world, self.every, self.dice = world, every, random.Random(seed)
        self.calm = calm
        self.count, self.kinds, self.spared = WORKERS, Counter[str](), 0
        self.wrong: list[str] = []
        self._over = threading.Event()
        self._starts: list[threading.Thread] = []
        self._up: list[Machine] = []

    def __enter__(self) -> Killer:
        for number in range(WORKERS):
            self._up.append(self.world.machine(f"m{number}").start())
        self._thread = threading.Thread(target=self._go)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for start in self._starts:
            start.join()

    def _go(self) -> None:
        try:
            while not self._over.wait(self.every):
                self._turn()
        except Exception as error:
            self.wrong.append(f"a kill: {error!r}, and it was the last")

    def _turn(self) -> None:
        beats = self.world.living()
        living = [m for m in self._up if m.lives() and m.beats(beats)]
        if len(living) < 2:  # starting takes the longer the busier the machine is
            self.spared += 1
            return
        victim = self.dice.choice(living)
        kind = self.dice.choices(KINDS, ODDS)[0]
        self.kinds[kind] += 1
        if kind == "of Slack's":
            with self.calm:
                self.world.machine("front").kill("web")
                self.world.machine("front").start("web")
            return
        if kind == "lost":
            victim.lose()
            self._up.remove(victim)
            victim = self.world.machine(f"m{self.count}")
            self.count += 1
            self._up.append(victim)
        else:
            victim.kill()
        start = threading.Thread(target=self._start, args=(victim, kind))
        start.start()
        self._starts.append(start)

    def _start(self, machine: Machine, kind: str) -> None:
        if kind == "back late":
            self._over.wait(2 * LEASE)
        machine.launch()


def measure(operations: int, seed: int, minutes: float, every: float) -> Iterator[Figure]:
    """Ask for so many, over four environments, and wait for all of them for so long."""
    dice = random.Random(seed)
    fleet = {name: {"web": 2} for name in ENVIRONMENTS}
    with Postgres() as server, Lab(fleet=fleet, config=CONFIG) as lab:
        lab.slack.install(json.loads(Packlead(lab.env, "manifest").ends(0).out))
        world = several(lab, server.database(), LEASE, begin=forked.begin)
        for name in ENVIRONMENTS:  # a key that is new would be asked about
            put_first(lab.aws, KEY, environment=name)
        try:
            front = world.machine("front").start("web").start()
            before, mark = invariants.inventory(lab), len(lab.aws.log)
            calm = threading.RLock()
            ada = Person("U0ADA", world, calm)
            asked = [ada.says(f"/image {name} web").number for name in ENVIRONMENTS]
            until(lambda: not live(world, asked), "there are images, for who scales")
            front.stop()
            began = time.monotonic()
            with (
                capacities(lab, ENVIRONMENTS, 1) as seen,
                Killer(world, seed, every, calm) as killer,
            ):
                end = began + minutes * 60
                asked += [ada.says(line).number for line in lines(lab, operations, dice)]
                if not wait(world, asked, end):  # what locks an environment comes last
                    names = [name for name in ENVIRONMENTS if goes_back(world, name)]
                    asked += [ada.says(f"/rollback {name}").number for name in names]
                    wait(world, asked, end)
                    for name in names:
                        ada.says(f"/unlock {name}")
                seconds = time.monotonic() - began
            yield from figures(world, asked, killer, seconds)
            yield from counted(seen.values(), "d. samples in which nobody served")
            wrong, seen_of = killer.wrong, "kills alone, as not all has ended"
            if not live(world, asked):
                seen_of = f"{len(asked)} operations"
                wrong += broken(world, asked, before, mark)
            print(*wrong, sep="\n")
            yield none("d. broken invariants in all", len(wrong), seen_of)
        finally:
            world.end()


def lines(lab: Lab, operations: int, dice: random.Random) -> Iterator[str]:
    """Yield what is said, in one environment after the other; each goes up and down in turn."""
    hosts = dict.fromkeys(ENVIRONMENTS, 2)
    for number in range(operations):
        name, line = ENVIRONMENTS[number % len(ENVIRONMENTS)], dice.choice(LINES)
        if line == SCALE:
            hosts[name] = 5 - hosts[name]
        if "deploy" in line:
            lab.git.commit("master", {"soak.txt": f"{number}\n"}, f"Soak {number}")
        yield line.format(name, hosts[name])


def goes_back(world: Several, environment: str) -> bool:
    """Whether there is a release before the one that is live."""
    known = world.store.releases.newest(environment, 1000)
    return len({release.commit for release in known if release.state == "healthy"}) > 1


def broken(
    world: Several, asked: list[int], before: invariants.Inventory, mark: int
) -> Iterator[str]:
    """Say what is not as it must be, now that all has ended."""
    yield from evening(world, asked, before)
    yield from invariants.alone(*world.folder.glob("*/data/runs"))
    calls = world.lab.aws.log[mark:]
    yield from testimony.framed(calls, world.store)
    yield from testimony.effects(calls, world.store)


def wait(world: Several, asked: list[int], end: float) -> int:
    """Return how many of these have not ended by then."""
    last = 0
    while (left := len(live(world, asked))) and time.monotonic() < end:
        if left != last:
            print(f"{len(asked) - left} of {len(asked)} have ended", flush=True)
        last = left
        time.sleep(1)
    return left


def figures(world: Several, asked: list[int], killer: Killer, seconds: float) -> Iterator[Figure]:
    left = live(world, asked)
    every = [one for one in map(world.store.get, map(str, asked)) if one]
    states = Counter(one.state for one in every)
    kinds = ", ".join(f"{count} {kind}" for kind, count in killer.kinds.items())
    yield Figure(
        "d. kill -9s of a worker, or of Slack's",
        f"{sum(killer.kinds.values())} ({kinds}), every {killer.every:g} s",
    )
    yield Figure("d. turns at which less than two were up", f"{killer.spared}")
    told = ", ".join(f"{count} {state}" for state, count in states.items())
    yield Figure("d. operations", f"{told}, in {seconds:.0f} s")
    yield none("d. operations that have not ended", len(left), f"{len(asked)}")
    for one in every:
        if one.state != "done":
            last = world.store.entries(one.id)[-1].event
            print(f"#{one.number} {one.line} is {one.state}: {last}")
    bad = sum(one.state == "failed" for one in every)
    yield none("d. operations that did not end well", bad, f"{len(asked)}")
    two = overlaps([o for o in world.store.history(limit=10 * len(asked)) if o.exclusive])
    yield none("d. overlaps in an environment", two, f"{len(asked)}")
    beside, count, again = side_by_side(world, every)
    yield none("d. playbooks side by side in an environment", beside, f"{count}")
    yield Figure("d. playbooks begun again elsewhere", f"{again} of {count}")
    yield none("d. breaks of the audit", len(world.store.audit.verify()), "1")


def live(world: Several, asked: list[int]) -> list[Operation]:
    return [one for one in world.store.live() if one.number in asked]


def overlaps(rows: list[Operation]) -> int:
    """Count the exclusive operations that began before the one before them had ended."""
    count = 0
    for name in ENVIRONMENTS:
        mine = [(o.started, o.finished or time.time()) for o in rows if o.environment == name]
        times = sorted((start, end) for start, end in mine if start)
        count += sum(start < end for (_, end), (start, _) in pairwise(times))
    return count


def side_by_side(world: Several, every: list[Operation]) -> tuple[int, int, int]:
    """Count runs that were at work when another one of their environment was; all; those again."""
    beside = count = again = 0
    for name in ENVIRONMENTS:
        runs = [r for o in every if o.environment == name for r in world.runs_of(o.number)]
        times = sorted((*span, run.name) for run in runs for span in spans(run))
        count += len(times)
        again += len(runs) - len({run.name.partition(".")[0] for run in runs})
        for (_, end, one), (start, _, other) in pairwise(times):
            if start < end - MARGIN:
                beside += 1
                print(f"{other} began {end - start:.2f} s before {one} had said its last")
    return beside, count, again
