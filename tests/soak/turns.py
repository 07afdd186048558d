"""The commands that are walked into faults: how each is said, and what must be so after it.

Whenever the bot alone is killed, all of them end `done`. Where all processes of the machine die (a
reboot) a roll does not go on by itself: nobody knows what the machine died of. It ends `failed`;
each host is wholly on one release, the old or the new one, and behind its balancer; the thread says
which host has which; and the same line said again brings all to one. A rotation that loses its
playbook brings the value before back to all hosts and to the store. Scaling plays it once more.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator

from bot import words
from bot.events import Stopped
from tests.e2e.canaries import canaries, everywhere
from tests.e2e.people import Asked, Person
from tests.e2e.world import World
from tests.lab import invariants
from tests.lab.aws import PEEK
from tests.lab.keys import put_first
from tests.soak.keys import newest_number, stored
from tests.waiting import until

KEY = "TWITTER_KEY"
MINIMUM = 2  # of web hosts, in the lab's config
DAY = 86400.0


class Turn:
    """A command; its world is as it was after `after`, so that any other may follow."""

    name = ""
    usual = 10.0  # seconds that it takes on two cores, about
    least = MINIMUM - 1  # web hosts that serve meanwhile: rolls take one of two away
    locks = False  # whether it keeps the environment afterwards

    def __init__(self, world: World, person: Person, environment: str = "prod") -> None:
        self.world, self.person, self.environment = world, person, environment
        self.first = f"{environment}web1"  # the master of the web hosts
        self.typed: list[str] = []  # values that nobody may see

    def ready(self) -> None:
        """Bring the world there where this can be said."""

    def say(self) -> Asked:
        raise NotImplementedError

    def wrong(self, asked: Asked) -> Iterator[str]:
        """Say what is not as this operation says that it is."""
        raise NotImplementedError

    def after(self, asked: Asked) -> None:
        """Put back what would be in the way of the next."""

    def peace(self, line: str) -> Asked:
        """Say something that is only there for another."""
        asked = self.person.says(line)
        asked.ends("done", 240)
        until(lambda: not self.world.store.live(self.environment), f"all of {line} ends")
        return asked

    def count(self) -> int:
        return len(self.world.hosts.names(f"{self.environment}web"))

    def commit(self) -> str:
        return self.world.hosts.commit(self.first)

    def runs(self, asked: Asked, old: str, new: str) -> Iterator[str]:
        """All hosts run the new commit; after a failure each one of both, as it is told."""
        commits = self.world.hosts.commits(self.environment)
        if asked.operation.state == "done":
            if strange := {name: c[:7] for name, c in commits.items() if c != new}:
                yield f"not all run {new[:7]}: {strange}"
            return
        last = asked.events[-1]
        said = f"{words.say(last)} {last.hint}" if isinstance(last, Stopped) else ""
        for name, commit in commits.items():
            if commit not in (old, new):
                yield f"{name} runs {commit[:7]}, neither {old[:7]} nor {new[:7]}"
            elif commit[:7] not in said:
                yield f"{name} runs {commit[:7]}, of which is only told: {said}"

    def released(self, asked: Asked) -> Iterator[str]:
        """The release of an operation ended as it did itself."""
        wanted = {"done": "healthy", "failed": "failed"}[asked.operation.state]
        known = self.world.store.releases.newest(self.environment, 1000)
        mine = [r.state for r in known if r.operation == asked.operation.id]
        if mine != [wanted]:
            yield f"it is {asked.operation.state}, and its releases are {mine}"


class Deploy(Turn):
    name, usual = "deploy", 20.0

    def ready(self) -> None:
        self.old = self.commit()
        files, git = {"walked.txt": f"{time.time_ns()}\n"}, self.world.lab.git
        self.new = git.commit("master", files, "Walk on")
        self.line = f"/deploy {self.environment} {self.new}"  # master may go on before it is said

    def say(self) -> Asked:
        return self.person.says(self.line)

    def wrong(self, asked: Asked) -> Iterator[str]:
        yield from self.runs(asked, self.old, self.new)
        yield from self.released(asked)
        if asked.operation.state != "done":
            return
        masters = [n for n in self.world.hosts.names(self.environment) if n.endswith("1")]
        made = images_of(self.world, [o.id for o in self.world.store.children(asked.operation.id)])
        if made != Counter(f"{name} at {self.new[:7]}" for name in masters):
            yield f"images were made of {dict(made)}"

    def after(self, asked: Asked) -> None:
        if asked.operation.state != "done":
            self.peace(self.line)
            self.world.hosts.run(self.new, self.environment)


class Rollback(Turn):
    name, locks = "rollback", True

    def ready(self) -> None:
        while True:
            self.old = self.commit()
            known = self.world.store.releases.newest(self.environment, 1000)
            mine = [
                r for r in known if r.state in ("healthy", "rolled back") and r.commit != self.old
            ]
            if mine:
                self.target, self.new = mine[0].number, mine[0].commit
                return
            deploy = Deploy(self.world, self.person, self.environment)
            deploy.ready()
            self.peace(deploy.line)

    def say(self) -> Asked:
        return self.person.says(f"/rollback {self.environment} {self.target}")

    def wrong(self, asked: Asked) -> Iterator[str]:
        yield from self.runs(asked, self.old, self.new)
        yield from self.released(asked)

    def after(self, asked: Asked) -> None:
        where = self.environment
        if set(self.world.hosts.commits(where).values()) != {self.new}:
            self.peace(f"/rollback {where} {self.target}")  # which is refused where all run it
        self.world.hosts.run(self.new, where)
        self.person.says(f"/unlock {where}")
        until(lambda: not self.world.store.locks.of(where), f"{where} is unlocked")


class Restart(Turn):
    name = "restart"

    def ready(self) -> None:
        self.old = self.commit()

    def say(self) -> Asked:
        return self.person.says(f"/restart {self.environment}")

    def wrong(self, asked: Asked) -> Iterator[str]:
        yield from self.runs(asked, self.old, self.old)


class Rotate(Turn):
    name = "rotate"

    def __init__(self, world: World, person: Person, environment: str = "prod") -> None:
        super().__init__(world, person, environment)
        self.values = canaries(10_000, time.time_ns())

    def ready(self) -> None:
        if put_first(self.world.lab.aws, KEY, environment=self.environment):
            self.peace(f"/rotate-key {KEY} {self.environment} --generate")
        self.before, self.versions = stored(self.world, KEY, self.environment)
        self.calls = len(self.world.lab.aws.log)
        self.value = next(self.values)
        self.typed.append(self.value)

    def say(self) -> Asked:
        slack, where = self.world.lab.slack, self.environment
        newest = newest_number(self.world, where)
        with self.person.calm:
            self.person.says(f"/rotate-key {KEY} {where}")
            until(lambda: slack.views(self.person.id), "the form opens")
            slack.submit(self.person.id, {"value": self.value})
            number = until(
                lambda: (n := newest_number(self.world, where)) > newest and n, "it is accepted"
            )
        return Asked(self.person, "rotate-key", 0, f"accepted as #{number}")

    def wrong(self, asked: Asked) -> Iterator[str]:
        done = asked.operation.state == "done"
        now, versions = stored(self.world, KEY, self.environment)
        if now != (self.value if done else self.before):
            yield f"it is {asked.operation.state}, and the store has another value"
        # Nothing can take back what a bot that is dead by now has asked AWS for.
        log = self.world.lab.aws.log[self.calls :]
        late = sum(call.action == "PutParameter" and call.fault == "slow" for call in log)
        if versions - self.versions not in (range(1, 2 + late) if done else (0, 2)):
            yield f"it is {asked.operation.state}, with {versions - self.versions} versions more"
        try:
            everywhere(self.world, self.environment, KEY, now)
        except AssertionError as error:
            yield f"not everywhere: {error}"


class Scale(Turn):
    """To a number of web hosts, from another."""

    least = MINIMUM

    def __init__(
        self, world: World, person: Person, to: int, origin: int, environment: str = "prod"
    ) -> None:
        super().__init__(world, person, environment)
        self.to, self.origin = to, origin
        self.name = f"scale {'up' if to > origin else 'down'}"
        if abs(to - origin) > 1:
            self.name += f" by {abs(to - origin)}"

    def ready(self) -> None:
        if not images(self.world, self.first):
            self.peace(f"/image {self.environment} web")
        if self.count() != self.origin:
            self.peace(f"/scale {self.environment} web {self.origin}")
        self.live = self.commit()

    def say(self) -> Asked:
        return self.person.says(f"/scale {self.environment} web {self.to}")

    def wrong(self, asked: Asked) -> Iterator[str]:
        where = self.environment
        yield from invariants.fleet(self.world.lab, where, "web", self.to, self.live)


class Prune(Turn):
    """Of three images that are old enough, while a newer one stays."""

    name, least, usual = "prune", MINIMUM, 2.0
    stays: frozenset[str] = frozenset()

    def ready(self) -> None:
        if not images(self.world, self.first):
            self.peace(f"/image {self.environment} web")
        if self.stays != self._held().images:
            self.peace(f"/prune {self.environment} --keep 1")
        self.left = self._held()
        self.stays = self.left.images
        shelve(self.world, self.environment, self.first)

    def _held(self) -> invariants.Inventory:
        return invariants.inventory(self.world.lab, self.environment)

    def say(self) -> Asked:
        return self.person.says(f"/prune {self.environment} --keep 1")

    def wrong(self, asked: Asked) -> Iterator[str]:
        now = self._held()
        if now != self.left:
            yield f"there are {now}, and not {self.left}"


def shelve(world: World, environment: str, master: str) -> set[str]:
    """Make three old images of a master, unseen; return their ids."""
    now, id = time.time(), world.lab.fleet.ids(environment)[master]
    tags = {"Env": environment, "Type": "web", "Master": master, "Operation": "old"}
    rows = [
        {"instance": id, "name": f"old-{time.time_ns()}", "created": now - days * DAY,
         "tags": {**tags, "Name": f"old-{days}"}, "state": "available"}
        for days in (30, 31, 32)
    ]  # fmt: skip
    made = {image for image, _ in world.lab.aws.shelf(rows)}
    # The lab's AWS shows what is new to it as pending for a moment.
    until(lambda: made <= {*images(world, master)}, "the old images are there")
    return made


def images(world: World, master: str) -> list[str]:
    """Return the available images of a master."""
    filters = [
        {"Name": "tag:Master", "Values": [master]},
        {"Name": "state", "Values": ["available"]},
    ]
    ec2 = world.lab.aws.client("ec2", PEEK)
    found = ec2.describe_images(Owners=["self"], Filters=filters)["Images"]
    return [str(row["ImageId"]) for row in found]


def images_of(world: World, operations: list[str]) -> Counter[str]:
    """Return of which masters at which commit these operations have made images, and how many."""
    found = Counter[str]()
    for row in world.lab.aws.client("ec2", PEEK).describe_images(Owners=["self"])["Images"]:
        tags = {tag["Key"]: tag["Value"] for tag in row.get("Tags", ())}
        if tags.get("Operation") in operations:
            found[f"{tags['Master']} at {tags['Commit'][:7]}"] += 1
    return found


Make = Callable[..., Turn]  # of a world and a person, and perhaps an environment
TURNS: dict[str, Make] = {
    "deploy": Deploy,
    "rollback": Rollback,
    "restart": Restart,
    "rotate": Rotate,
    "scale up": lambda world, person, where="prod": Scale(world, person, 3, 2, where),
    "scale down": lambda world, person, where="prod": Scale(world, person, 2, 3, where),
    "prune": Prune,
}
