"""Every command while a share of all calls of AWS and Slack fails: nothing is broken by it.

A person goes through all that can be done to an environment, in the order of an ordinary day, and
after each command looks at the hosts, the balancer, AWS, the database and Slack. The weather is bad
all the while: see `weather.py`. Sockets drop too, and Slack delivers some things twice.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bot.store import Operation
from tests.bench.table import Figure, none
from tests.e2e.canaries import everywhere
from tests.e2e.people import ACCEPTED, SAID_AGAIN, Asked, Person
from tests.e2e.world import World
from tests.lab import invariants
from tests.lab.aws import PEEK
from tests.lab.lab import Lab
from tests.lab.load import Load
from tests.soak.houses import small_house
from tests.soak.keys import stored
from tests.soak.outage import posts, shown
from tests.soak.rotations import KEY, put_one
from tests.soak.walk import say
from tests.soak.weather import Weather
from tests.waiting import settled, until

FLEET = {"prod": {"web": 2}}
STATES = {"done": "done", "failed": "stopped", "cancelled": "cancelled"}
LONG = 240.0  # seconds that an operation may take in such weather
SETTLED = 8.0  # seconds that hosts, balancer and Slack may be behind
TRIES = 6  # times that somebody types a line for which Slack had no answer


@dataclass
class Day:
    """One seed: a day of an environment in bad weather."""

    world: World
    rate: float
    seed: int
    count: int = 2  # web hosts
    broken: list[str] = field(default_factory=list)
    gave_up: list[str] = field(default_factory=list)  # honest failures, everything put back
    ended: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    met: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    again: int = 0  # marked repeats that were there before

    def passes(self) -> Day:
        """Live through it; what is wrong is said in `broken`."""
        world, began = self.world, time.monotonic()
        self.ada, self.asked = Person("U0ADA", world), list[Asked]()
        self.commit = world.hosts.commit("prodweb1")
        aws, slack = len(world.lab.aws.log), len(world.lab.slack.calls)
        try:
            with Load(world.lab.balancers["prod"], rate=10) as load:
                with Weather(world.lab, self.rate, self.seed) as self.weather:
                    self._day()
                    self.met = self.weather.met()
                self._evening(aws, slack)
            self.broken += load.failures[:5]
        except AssertionError as error:
            self.broken.append(f"{error}"[:600])
        self.calls = len(world.lab.aws.log) - aws + len(world.lab.slack.calls) - slack
        self.seconds = time.monotonic() - began
        return self

    def _day(self) -> None:
        branch, new = self._push(1)
        if self._says(f"/deploy prod {branch}", {"done"}, new) == "done":
            self.commit = new
        self._turn(f"/scale prod web {self.count + 1}", self.count + 1)
        self._says("/image prod web", {"done"})
        self._turn("/scale prod web 2", 2)
        self._says("/restart prod web", {"done"})
        self._rotate()
        self._says("/status prod", {"done"})
        self._says("/prune prod --keep 1", {"done"})
        branch, new = self._push(2)
        if self._says(f"/deploy prod {branch}", {"done"}, new) == "done":
            old, self.commit = self.commit, new
            if self._says("/rollback prod", {"done"}, old, locked=True) == "done":
                self.commit = old
                self._answered("/unlock prod", "free")
        self._answered("/lock prod the weather", "kept")
        self._answered("/unlock prod", "free")
        self._cancelled()

    def _push(self, number: int) -> tuple[str, str]:
        lab, branch = self.world.lab, f"soak/weather-{self.seed}-{self.rate}-{number}"
        new = lab.git.commit("master", {"soak.txt": f"{branch}\n"}, f"Say {branch}")
        lab.git.branch(branch, new)
        return branch, new

    def _turn(self, line: str, count: int) -> None:
        if self._says(line, {"done"}, count=count) == "done":
            self.count = count

    def _rotate(self) -> None:
        before, versions = stored(self.world, KEY)
        state = self._says(f"/rotate-key {KEY} prod --generate", {"done"})
        value, now = stored(self.world, KEY)
        if state == "done" and (value == before or now != versions + 1):
            self.broken.append(f"a rotation that was done made {now - versions} versions")
        try:
            everywhere(self.world, "prod", KEY, value)
        except AssertionError as error:
            self.broken.append(f"the key is not everywhere: {error}")

    def _cancelled(self) -> None:
        """Deploy, and say stop when a host is out of the balancer."""
        branch, new = self._push(3)
        asked = self._ask(f"/deploy prod {branch}")
        until(
            lambda: not asked.operation.live or self.world.hosts.is_out("prodweb1", "prod"),
            "prodweb1 leaves the balancer", LONG,
        )  # fmt: skip
        self._answered(f"/cancel {asked.number}", "")
        if self._ends(asked, {"cancelled", "done"}, new) == "done":
            self.commit = new
        else:  # so that the next day begins with one commit
            branch, new = self._push(4)
            self._says(f"/deploy prod {branch}", {"done"}, new)

    # one command

    def _ask(self, line: str) -> Asked:
        """Type it; again where Slack has no answer, as people do. Sockets may drop before."""
        world, slack = self.world, self.world.lab.slack
        if self.weather.sometimes(2 * self.rate):
            slack.drop_sockets("reset")
        for _ in range(TRIES):
            slack.wait(lambda: slack.connections, 30, "the bot comes back to Slack")
            name, _, rest = line.partition(" ")
            before = newest(world)
            given = slack.command("U0ADA", name, rest, "C0PROD")
            if given.acked:
                break
            time.sleep(1.0)
            if newest(world) != before:
                self.broken.append(f"{line}: Slack was told nothing, and it was accepted")
        if given.acked and self.weather.sometimes(0.3):
            before = newest(world)
            slack.replay(given)
            if newest(world) != before:
                self.broken.append(f"{line}: delivered twice, accepted twice")
        return Asked(self.ada, line, 0, str((given.answer or {}).get("text", "")))

    def _says(
        self, line: str, wanted: set[str], commit: str = "", count: int = 0, locked: bool = False
    ) -> str:
        asked = self._ask(line)
        if not ACCEPTED.search(asked.answer):
            self.broken.append(f"{line}: not accepted, but {asked.answer!r}")
            return "refused"
        return self._ends(asked, wanted, commit, count, locked)

    def _ends(
        self, asked: Asked, wanted: set[str], commit: str = "", count: int = 0, locked: bool = False
    ) -> str:
        """Wait for its end, and look at everything; return how it ended."""
        self.asked.append(asked)
        until(lambda: not asked.operation.live, f"{asked.said} ends", LONG)
        self._idle()
        state, well = asked.operation.state, asked.operation.state == "done"
        self.ended[state] += 1
        about = (
            commit if well and commit else self.commit,
            count if well and count else self.count,
        )
        found = settled(lambda: self._wrong(asked, *about, locked and well), SETTLED)
        if state not in wanted:
            last = f"{asked.said}: {asked.events[-1]}"
            self.gave_up.append(last) if state == "failed" else found.append(last)
        say(f"    {asked.said}: {state}, {asked.seconds():.1f} s {found or ''}")
        self.broken += [f"{asked.said} ({state}): {sentence}" for sentence in found]
        return state

    def _wrong(self, asked: Asked, commit: str, count: int, locked: bool) -> Iterator[str]:
        world, lab = self.world, self.world.lab
        if asked.operation.state == "cancelled":  # what was done before stays done
            yield from world.hosts.wrong()
        else:
            yield from invariants.fleet(lab, "prod", "web", count, commit)
        yield from invariants.ended(world.store, asked.number)
        yield from invariants.plays(world.runs, asked.number, 3)
        for sentence in invariants.locks(world.store):
            if not (locked and "rolled back" in sentence):
                yield sentence
        if left := world.processes_of(asked.number):
            yield f"processes are left: {left}"

    def _answered(self, line: str, what: str) -> None:
        """Say what is answered at once; the world must be so."""
        asked = self._ask(line)
        held = self.world.store.locks.of("prod")
        if what and (held is None) != (what == "free"):
            self.broken.append(f"{line}: answered {asked.answer!r}, and prod is held by {held}")

    def _idle(self) -> None:
        until(lambda: not self.world.store.live(), lambda: f"{self.world.store.live()} end", LONG)

    # what must be so in the evening, when the weather is good again

    def _evening(self, aws: int, slack: int) -> None:
        world, lab = self.world, self.world.lab
        self._idle()
        rows = [row for asked in self.asked for row in family(world, asked)]
        until(
            lambda: not [r for r in rows if not world.store.note("slack", r.id).get("finished")],
            lambda: f"Slack shows all of {[r.number for r in rows]}",
        )  # fmt: skip
        for asked in self.asked:
            self._is_told(asked)
        calls = lab.slack.calls[slack:]
        lost = sum(c.fault in ("lost", "dropped", "500") for c in calls if posts(c))
        again = sum(SAID_AGAIN in m.wording for m in shown(world)) - self.again
        if again > lost:
            self.broken.append(f"{again} marked repeats, and {lost} answers were lost")
        self.broken += invariants.effects(lab, world.store, aws)
        self.broken += owned(lab)

    def _is_told(self, asked: Asked) -> None:
        """One card that says the end; more only as a marked repeat of a post that may be lost."""
        cards = asked._cards()
        state = STATES[asked.operation.state]
        private = asked.said.startswith(("/status", "/image", "/prune"))
        if not private and not [c for c in cards if state in c.wording]:
            self.broken.append(f"{asked.said}: no card of #{asked.number} says {state}")
        if len([c for c in cards if SAID_AGAIN not in c.wording]) > 1:
            self.broken.append(f"{asked.said}: #{asked.number} has several unmarked cards")


def family(world: World, asked: Asked) -> list[Operation]:
    operation = asked.operation
    return [operation, *world.store.children(operation.id)]


def newest(world: World) -> int:
    return max((o.number for o in world.store.history(limit=1)), default=0)


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
    """Two web hosts, and a key that they have."""
    with small_house(FLEET) as world:
        put_one(world)
        until(lambda: not world.store.live(), "the first key is everywhere")
        yield world


def days(rates: Sequence[float], seeds: Sequence[int], minutes: float) -> Iterator[Day]:
    """Yield day after day, in a fresh world after one in which something broke."""
    end, left = time.monotonic() + minutes * 60, [(r, s) for s in seeds for r in rates]
    while left and time.monotonic() < end:
        with house() as world:
            fresh = True  # whoever has come this far is looked at
            while left and (time.monotonic() < end or fresh):
                fresh = False
                rate, seed = left.pop(0)
                say(f"seed {seed}, {rate:.0%}")
                day = Day(world, rate, seed)
                day.again = sum(SAID_AGAIN in m.wording for m in shown(world))
                day.passes()
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
    """Live through so many days at each rate, from a seed on, as far as the time goes."""
    lived = list(days(rates, range(skip + 1, seeds + 1), minutes))
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
        yield Figure(
            f"c. seeds at {rate:.0%}",
            f"{len(mine)}",
            f"{seeds - skip}",
            over=len(mine) < seeds - skip,
        )
        yield none(f"c. broken invariants at {rate:.0%}", broken, of)
        yield Figure(
            f"c. honest failures at {rate:.0%}", f"{gave_up} of {ops.total()}", "0", gave_up > 0
        )
