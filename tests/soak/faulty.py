"""Every command while a share of all calls of AWS and Slack fails: nothing is broken by it.

In four environments people do all that can be done to one (lives.py), at the same time, and after
each command look at the hosts, the balancer, AWS, the database and Slack. The weather is bad all
the while: see `weather.py`. Sockets drop too, and Slack delivers some things twice.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from bot.store import Operation
from tests.bench.table import Figure, none
from tests.e2e.people import SAID_AGAIN, Asked, Person
from tests.e2e.world import CHANNELS, World
from tests.lab import invariants, testimony
from tests.lab.aws import PEEK
from tests.lab.keys import put_first
from tests.lab.lab import Lab
from tests.lab.load import Load
from tests.soak import forked
from tests.soak.bound import Bound
from tests.soak.houses import small_house
from tests.soak.lives import KEYED, LIVES, RELEASED, SETTLED, Life
from tests.soak.looking import capacities, longest
from tests.soak.outage import posts, shown
from tests.soak.rotations import KEY
from tests.soak.walk import as_a_whole, newest_row, say
from tests.soak.weather import Weather
from tests.waiting import settled, until

MINUTES = 180.0  # after which no day is begun any more, where nobody says otherwise
LEAST = 1  # web hosts that serve in each environment: rolls take one of two away
STATES = {"done": "done", "failed": "stopped", "cancelled": "cancelled"}


@dataclass
class Day:
    """One seed: a day in bad weather."""

    world: World
    rate: float
    seed: int
    asked: list[Asked] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    gave_up: list[str] = field(default_factory=list)  # honest failures, everything put back
    ended: Counter[str] = field(default_factory=Counter)
    generated: list[str] = field(default_factory=list)  # values that nobody may see
    seconds: float = 0.0
    met: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    gap: float = 0.0  # seconds for which nobody looked who serves, at most

    def passes(self) -> Day:
        """Live through it; what is wrong is said in `broken`."""
        world, began = self.world, time.monotonic()
        aws, slack = len(world.lab.aws.log), len(world.lab.slack.calls)
        self.again = marked(world)
        told = newest_row(world.store)
        loads = [Load(world.lab.balancers[name], rate=10) for name in LIVES]
        try:
            with contextlib.ExitStack() as stack:
                for load in loads:
                    stack.enter_context(load)
                seen = stack.enter_context(capacities(world.lab, LIVES, LEAST))
                with Weather(world.lab, self.rate, self.seed) as weather:
                    self._live([Life(world, weather, name) for name in LIVES])
                    self.met = weather.met()
                self._evening(aws, slack, told)
        except AssertionError as error:
            self.broken.append(f"{error}"[:600])
        self.gap = max(each.gap for each in seen.values())
        self.broken += [sentence for each in seen.values() for sentence in each.broken[:5]]
        self.broken += [sentence for load in loads for sentence in load.failures[:5]]
        self.calls = len(world.lab.aws.log) - aws + len(world.lab.slack.calls) - slack
        self.seconds = time.monotonic() - began
        return self

    def _live(self, lives: Sequence[Life]) -> None:
        threads = [threading.Thread(target=life.passes, name=life.environment) for life in lives]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for life in lives:
            self.asked += life.asked
            self.broken += life.broken
            self.gave_up += life.gave_up
            self.ended += life.ended
            self.generated += life.generated

    # what must be so in the evening, when the weather is good again

    def _evening(self, aws: int, slack: int, told: int) -> None:
        world, lab = self.world, self.world.lab
        until(lambda: not world.store.live(), lambda: f"{world.store.live()} end")
        rows = [row for asked in self.asked for row in family(world, asked)]
        until(
            lambda: not [r for r in rows if not world.store.note("slack", r.id).get("finished")],
            lambda: f"Slack shows all of {[r.number for r in rows]}",
        )  # fmt: skip
        for asked in self.asked:
            self._is_told(asked)
        calls = lab.slack.calls[slack:]
        lost = sum(c.fault in ("lost", "dropped", "500") for c in calls if posts(c))
        again = marked(world) - self.again
        if again > lost:
            self.broken.append(f"{again} marked repeats, and {lost} answers were lost")
        self.broken += as_a_whole(world, aws, told, map(str.encode, self.generated))
        self.broken += owned(lab)

    def _is_told(self, asked: Asked) -> None:
        """One card that says the end; more only as a marked repeat of a post that may be lost."""
        cards = asked.cards()
        state = STATES[asked.operation.state]
        private = asked.said.startswith(("/packlead status", "/config", "/image", "/prune"))
        if not private and not [c for c in cards if state in c.wording]:
            self.broken.append(f"{asked.said}: no card of #{asked.number} says {state}")
        if not private:
            found = partial(testimony.thread, self.world.lab.slack, self.world.store)
            self.broken += settled(lambda: found(asked.number, CHANNELS), SETTLED)
        if len([c for c in cards if SAID_AGAIN not in c.wording]) > 1:
            self.broken.append(f"{asked.said}: #{asked.number} has several unmarked cards")


def family(world: World, asked: Asked) -> list[Operation]:
    operation = asked.operation
    return [operation, *world.store.children(operation.id)]


def marked(world: World) -> int:
    """Return how often Slack shows that something may have been said before."""
    return sum(SAID_AGAIN in message.wording for message in shown(world))


def owned(lab: Lab) -> Iterator[str]:
    """Whatever was made in AWS is an operation's, once for each name; nothing is loose."""
    ec2 = lab.aws.client("ec2", PEEK)
    images = ec2.describe_images(Owners=["self"])["Images"]
    names = Counter(image["Name"] for image in images)
    yield from (f"there are {n} images {name}" for name, n in names.items() if n > 1)
    held = set()
    for image in images:
        tags = {tag["Key"]: tag["Value"] for tag in image.get("Tags", ())}
        disks = [d.get("Ebs", {}) for d in image.get("BlockDeviceMappings", ())]
        held |= {d["SnapshotId"] for d in disks if "SnapshotId" in d}
        if tags.get("Env") and not tags.get("Operation"):
            yield f"the image {image['Name']} is of no operation"
    for snapshot in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]:
        tags = {tag["Key"]: tag["Value"] for tag in snapshot.get("Tags", ())}
        if tags.get("Env") and snapshot["SnapshotId"] not in held:
            yield f"the snapshot {snapshot['SnapshotId']} is of no image"
    there = {row["InstanceId"] for row in invariants._instances(lab)}
    for volume in ec2.describe_volumes()["Volumes"]:
        if not there & {each["InstanceId"] for each in volume["Attachments"]}:
            yield f"{volume['VolumeId']} is a volume of no instance"


@contextlib.contextmanager
def house() -> Iterator[World]:
    """Two web hosts in each environment, a key in one, and in one a release to go back to."""
    forced = {"environments": {KEYED: {"force": True}}}
    with small_house({name: {"web": 2} for name in LIVES}, forced, forked.begin) as world:
        put_first(world.lab.aws, KEY, environment=KEYED)
        first = world.lab.git.commit("master", {"soak.txt": "fair\n"}, "Say fair")
        for line in (f"/rotate-key {KEY} {KEYED} --generate", f"/deploy {RELEASED} {first}"):
            Person("U0ADA", world).says(line).ends("done")
        until(lambda: not world.store.live(), "all of it ends")
        yield world


def days(rates: Sequence[float], seeds: Sequence[int], minutes: float) -> Iterator[Day]:
    """Yield day after day, in a fresh world after one in which something broke."""
    bound, left = Bound(minutes), [(rate, seed) for seed in seeds for rate in rates]
    while left and not bound.over:
        with house() as world:
            fresh = True  # whoever has come this far is looked at
            while left and (fresh or not bound.over):
                fresh = False
                rate, seed = left.pop(0)
                say(f"seed {seed}, {rate:.0%}")
                day = Day(world, rate, seed).passes()
                say(
                    f"seed {seed}, {rate:.0%}: {dict(day.ended)} in {day.seconds:.0f} s; "
                    f"{sum(day.met.values())} of {day.calls} calls failed: {dict(day.met)}"
                )
                for sentence in day.broken:
                    say(f"    BROKEN: {sentence}")
                for sentence in day.gave_up:
                    say(f"    gave up: {sentence}")
                if day.broken:
                    say(world.bot.tail(30))
                yield day
                if day.broken:
                    break


def measure(rates: Sequence[float], seeds: int, minutes: float, skip: int = 0) -> Iterator[Figure]:
    """Live through so many days at each rate, from a seed on, as far as the time goes.

    Where nobody says how long that is, too few days are a break.
    """
    lived = list(days(rates, range(skip + 1, seeds + 1), minutes or MINUTES))
    wanted, short = seeds - skip, ", cut short" if minutes else ""
    for rate in rates:
        mine = [day for day in lived if day.rate == rate]
        ops, failed = (
            sum((day.ended for day in mine), Counter()),
            sum((day.met for day in mine), Counter()),
        )
        of = f"{ops.total()} operations, seeds {', '.join(str(d.seed) for d in mine) or 'none'}"
        broken, gave_up = (sum(len(getattr(d, n)) for d in mine) for n in ("broken", "gave_up"))
        calls = sum(day.calls for day in mine)
        yield Figure(f"c. calls that failed at {rate:.0%}", f"{failed.total()} of {calls}")
        few = len(mine) < wanted
        yield Figure(
            f"c. seeds at {rate:.0%}", f"{len(mine)}{short * few}", f"{wanted}", few,
            broken=few and not short,
        )  # fmt: skip
        gap = max((day.gap for day in mine), default=0.0)
        yield longest(gap, f"c. longest between two samples of one environment at {rate:.0%}")
        yield none(f"c. broken invariants at {rate:.0%}", broken, of)
        yield Figure(
            f"c. honest failures at {rate:.0%}", f"{gave_up} of {ops.total()}", "0", gave_up > 0
        )
