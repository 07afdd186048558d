"""What is done in an environment in the course of a day, and looked at after each command.

Four environments divide among them all that can be done to one: see LIVES. What is not as it must
be is said in `broken`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from bot import words
from tests.e2e.canaries import everywhere
from tests.e2e.people import ACCEPTED, Asked, Person
from tests.e2e.world import World
from tests.lab import invariants
from tests.soak.keys import stored
from tests.soak.rotations import KEY
from tests.soak.turns import images, shelve
from tests.soak.walk import say
from tests.soak.weather import Weather
from tests.waiting import settled, until

LONG = 240.0  # seconds that an operation may take in such weather
SETTLED = 8.0  # seconds that hosts, balancer and Slack may be behind
TRIES = 6  # times that somebody types a line for which Slack had no answer


@dataclass
class Life:
    """Somebody at work in an environment while the weather is bad."""

    world: World
    weather: Weather
    environment: str
    asked: list[Asked] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    gave_up: list[str] = field(default_factory=list)  # honest failures, everything put back
    ended: Counter[str] = field(default_factory=Counter)
    generated: list[str] = field(default_factory=list)  # values that nobody may see

    def passes(self) -> None:
        """Do all that belongs to this environment."""
        self.ada, hosts, where = Person("U0ADA", self.world), self.world.hosts, self.environment
        self.count, self.commit = len(hosts.names(f"{where}web")), hosts.commit(f"{where}web1")
        try:
            LIVES[where](self)
        except Exception as error:
            self.broken.append(f"{where}: {error!r}"[:600])

    # what is done

    def deploys(self) -> None:
        """Deploy; keep the environment and free it; deploy, and say stop in the middle."""
        where = self.environment
        self._deploys(1)
        self._answered(f"/lock {where} the weather", "kept")
        self._answered(f"/unlock {where}", "free")
        branch, new = self._push(2)
        asked = self._ask(f"/deploy {where} {branch}")
        until(
            lambda: not asked.operation.live or self.world.hosts.is_out(f"{where}web1", where),
            f"{where}web1 leaves the balancer", LONG,
        )  # fmt: skip
        self._answered(f"/cancel {asked.number}", "")
        if self._ends(asked, {"cancelled", "done"}, new) == "done":
            self.commit = new
        else:  # so that the next day begins with one commit
            self._deploys(3)

    def scales(self) -> None:
        """An image of the first host, one host more, one less; and old images go."""
        where, first = self.environment, f"{self.environment}web1"
        self._says(f"/image {where} web")
        for count in (self.count + 1, self.count):
            if self._says(f"/scale {where} web {count}", count=count) == "done":
                self.count = count
        old = shelve(self.world, where, first)
        if self._says(f"/prune {where} --keep 1") == "done" and (
            left := old.intersection(images(self.world, first))
        ):
            self.broken.append(f"/prune is done, and left {left}")

    def goes_back(self) -> None:
        """Deploy, and roll back; see how it stands."""
        old = self.commit
        self._deploys(1)
        line = f"/rollback {self.environment}"
        if self.commit != old and self._says(line, old, locked=True) == "done":
            self.commit = old
            self._answered(f"/unlock {self.environment}", "free")
        self._says(f"/packlead status {self.environment}")

    def renews(self) -> None:
        """Restart, give the application another key and look at it, run one of its commands.

        And freeze the environment: a deploy is refused, unless it is forced.
        """
        self._says(f"/restart {self.environment} web")
        before, versions = stored(self.world, KEY, self.environment)
        state = self._says(f"/rotate-key {KEY} {self.environment} --generate")
        value, now = stored(self.world, KEY, self.environment)
        if state == "done" and (value == before or now != versions + 1):
            self.broken.append(f"a rotation that was done made {now - versions} versions")
        try:
            everywhere(self.world, self.environment, KEY, value)
        except AssertionError as error:
            self.broken.append(f"the key is not everywhere: {error}")
        where, (branch, new) = self.environment, self._push(1)
        self.generated.append(value)
        self._says(f"/config {where} {KEY}")
        self._says(f"/run {where} -- showmigrations pages")
        self._answered(f"/freeze {where} until 3h the weather", "")
        self._refused(f"/deploy {where} {branch}", f"{where} is frozen for")
        if self._says(f'/deploy {where} {branch} --force "it is urgent"', new) == "done":
            self.commit = new
        self._answered(f"/unfreeze {where}", "")

    def _deploys(self, number: int) -> None:
        branch, new = self._push(number)
        if self._says(f"/deploy {self.environment} {branch}", new) == "done":
            self.commit = new

    def _push(self, number: int) -> tuple[str, str]:
        lab, weather = self.world.lab, self.weather
        branch = f"soak/{self.environment}-{weather.seed}-{weather.rate}-{number}"
        new = lab.git.commit("master", {"soak.txt": f"{branch}\n"}, f"Say {branch}")
        lab.git.branch(branch, new)
        return branch, new

    # one command

    def _ask(self, line: str) -> Asked:
        """Type it; again where Slack has no answer, as people do. Sockets may drop before."""
        slack = self.world.lab.slack
        if self.weather.sometimes(2 * self.weather.rate):
            slack.drop_sockets("reset")
        for _ in range(TRIES):
            slack.wait(lambda: slack.connections, 30, "the bot comes back to Slack")
            name, _, rest = line.partition(" ")
            before = self._newest()
            given = slack.command("U0ADA", name, rest, "C0PROD")
            if given.acked:
                break
            time.sleep(1.0)
            if self._newest() != before:
                self.broken.append(f"{line}: Slack was told nothing, and it was accepted")
        if given.acked and self.weather.sometimes(0.3):
            before = self._newest()
            slack.replay(given)
            if self._newest() != before:
                self.broken.append(f"{line}: delivered twice, accepted twice")
        return Asked(self.ada, line, 0, str((given.answer or {}).get("text", "")))

    def _says(self, line: str, commit: str = "", count: int = 0, locked: bool = False) -> str:
        asked = self._ask(line)
        if not ACCEPTED.search(asked.answer):
            self.broken.append(f"{line}: not accepted, but {asked.answer!r}")
            return "refused"
        return self._ends(asked, {"done"}, commit, count, locked)

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
            yield from world.hosts.wrong(self.environment)
        else:
            yield from invariants.fleet(lab, self.environment, "web", count, commit)
        yield from invariants.ended(world.store, asked.number)
        yield from invariants.plays(world.runs, asked.number, 3)
        for sentence in invariants.locks(world.store, self.environment):
            if not (locked and "rolled back" in sentence):
                yield sentence
        if left := world.processes_of(asked.number):
            yield f"processes are left: {left}"

    def _answered(self, line: str, what: str) -> None:
        """Say what is answered at once; the world must be so."""
        asked = self._ask(line)
        held = self.world.store.locks.of(self.environment)
        if what and (held is None) != (what == "free"):
            self.broken.append(f"{line}: answered {asked.answer!r}, and it is held by {held}")

    def _refused(self, line: str, why: str) -> None:
        """Say what must come to nothing, for that reason."""
        asked = self._ask(line)
        until(lambda: not asked.operation.live, f"{line} ends", LONG)
        if why not in (last := words.say(asked.events[-1])):
            self.broken.append(f"{line} is {asked.operation.state} and not refused: {last}")

    def _idle(self) -> None:
        store, where = self.world.store, self.environment
        until(lambda: not store.live(where), lambda: f"{store.live(where)} end", LONG)

    def _newest(self) -> int:
        rows = self.world.store.history(self.environment, limit=10)
        return max((row.number for row in rows if row.command != "tell"), default=0)


KEYED, RELEASED = "demo", "qa"  # where a key, and a release, are there from the first
LIVES: Mapping[str, Callable[[Life], None]] = {
    "prod": Life.deploys,
    "puppystream": Life.scales,
    RELEASED: Life.goes_back,
    KEYED: Life.renews,
}
