"""What a command gets to work with. Its adapters are recorded: what they answered is remembered.

Between two yields a command only decides, from what earlier calls returned; every call of an
adapter, every reading of the clock and every told event is a named step of the engine, which a
replay does not repeat. The Protocols say what adapters must be able to do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, TypeVar, cast, get_type_hints

from pydantic import TypeAdapter

from bot.adapters.aws.records import (
    Balancer,
    Fleet,
    Image,
    Instance,
    Launch,
    Snapshot,
    Target,
    Use,
)
from bot.adapters.records import Commit, Live, Outcome
from bot.config import Config, Environment
from bot.events import Event, Question
from bot.people import People, Speaker
from bot.store import Lock, Operation, Release, Store

T = TypeVar("T")


class Aws(Protocol):
    def fleet(self, environment: str) -> Fleet: ...
    def balancer(self, environment: str, type: str) -> Balancer | None: ...
    def targets(self, balancer: Balancer) -> tuple[Target, ...]: ...
    def image(self, instance: Instance, name: str, tags: dict[str, str]) -> Image: ...
    def wait_image(self, id: str, timeout: float = 1800.0) -> Image: ...
    def images(self, environment: str = "") -> tuple[Image, ...]: ...
    def launch(
        self, master: Instance, image: str, names: tuple[str, ...], operation: str
    ) -> tuple[Launch, ...]: ...
    def wait_running(
        self, ids: tuple[str, ...], timeout: float = 300.0
    ) -> tuple[Instance, ...]: ...
    def terminate(self, ids: tuple[str, ...]) -> None: ...
    def leave(self, balancer: Balancer, instance_id: str, host: str = "") -> None: ...
    def uses(self) -> tuple[Use, ...]: ...
    def deregister(self, image: Image) -> None: ...
    def orphans(self, environment: str = "") -> tuple[Snapshot, ...]: ...
    def delete_snapshot(self, id: str) -> None: ...


class Git(Protocol):
    def resolve(self, ref: str, branches: tuple[str, ...]) -> Commit: ...
    def log(self, old: str, new: str) -> tuple[Commit, ...]: ...


class Hosts(Protocol):
    def live(self, instances: tuple[Instance, ...]) -> tuple[Live, ...]: ...


class Playbooks(Protocol):
    def play(
        self,
        directory_name: str,
        playbook: str,
        environment: str,
        hosts: Sequence[Instance],
        variables: Mapping[str, Any],
        tell: Callable[[str, Event], None],
        cancelled: Callable[[], str],
    ) -> Outcome: ...


@dataclass(frozen=True)
class Adapters:
    """The outside services that a worker holds."""

    aws: Aws
    git: Git
    hosts: Hosts
    playbooks: Playbooks


class Steps(Protocol):
    """How the engine remembers: `run` does a named thing once; `cancelled` says who said stop.

    `alive` says nothing; both let go of the operation where this worker must.
    """

    def run(self, name: str, work: Callable[[], Any]) -> Any: ...
    def cancelled(self) -> str: ...
    def alive(self) -> str: ...


class Job:
    """One operation at work."""

    def __init__(
        self,
        operation: Operation,
        speaker: Speaker,
        config: Config,
        store: Store,
        people: People,
        steps: Steps,
        adapters: Adapters | None = None,
        commands: Mapping[str, Any] | None = None,
    ) -> None:
        self.operation, self.speaker, self.config = operation, speaker, config
        self.people, self.commands = people, commands or {}
        self._store, self._steps, self._adapters, self._count = store, steps, adapters, 0
        self.history = History(self, store)

    @property
    def aws(self) -> Aws:
        return cast(Aws, self._recorded("aws"))

    @property
    def git(self) -> Git:
        return cast(Git, self._recorded("git"))

    @property
    def hosts(self) -> Hosts:
        return cast(Hosts, self._recorded("hosts"))

    def play(
        self,
        playbook: str,
        environment: str,
        hosts: Sequence[Instance],
        variables: Mapping[str, Any],
        stoppable: bool = True,
    ) -> Outcome:
        """Run a playbook to its end; raises Cancelled if it is stoppable and somebody says stop."""
        self._count += 1
        place = f"{self.operation.number}-{self._count}"
        adapters = self._held()

        def work() -> Outcome:
            return adapters.playbooks.play(
                place, playbook, environment, hosts, variables,
                lambda key, event: self._store.append(self.operation.id, f"{place}:{key}", event),
                lambda: self._steps.cancelled() if stoppable else self._steps.alive(),
            )  # fmt: skip

        return self.step(f"play {playbook}", work, Outcome)

    def step(self, name: str, work: Callable[[], T], kind: Any) -> T:
        """Do something once; `kind` is the type of its answer, which must be JSON-ready records."""
        self._count += 1
        adapter = adapter_of(kind)
        answer = self._steps.run(
            f"{name}#{self._count}", lambda: adapter.dump_python(work(), mode="json")
        )
        return cast(T, adapter.validate_python(answer))

    def now(self) -> float:
        """Return the time, in Unix seconds; the same one in a replay."""
        return self.step("now", self._store.now, float)

    def tell(self, event: Event) -> str:
        """Append an event to the log, and return who has said stop."""
        self._count += 1
        key = f"tell#{self._count}"

        def work() -> str:
            self._store.append(self.operation.id, key, event)
            return self._steps.cancelled()

        return str(self._steps.run(key, work))

    def may(self, permission: str, environment: str = "") -> bool:
        return self.people.may(self.speaker, permission, environment)

    def authorise(self, asked: Operation) -> None:
        """Raise Refused unless this person may say what that operation says."""
        known = self.commands.get(asked.command)
        permission = known.permission if known else asked.command
        self.people.authorise(self.speaker, permission, asked.environment)

    def say_again(self, asked: Operation, line: str, why: str) -> Operation:
        """Submit an operation's line anew, by whoever speaks; once for each `why`."""

        def work() -> Operation:
            again, _ = self._store.submit(
                f"{asked.id}/{why}", line=line, command=asked.command,
                environment=asked.environment, person=self.speaker.name, front=asked.front,
                audience=asked.audience, exclusive=asked.exclusive,
            )  # fmt: skip
            return again

        return self.step("say again", work, Operation)

    def follow_up(self, command: str, line: str) -> None:
        """Have another command run on its own, told in this operation's thread."""
        mine = self.operation

        def work() -> str:
            self._store.submit(
                f"{mine.id}/{command}", line=line, command=command, environment=mine.environment,
                person=mine.person, front=mine.front, audience=mine.audience, parent=mine.id,
            )  # fmt: skip
            return ""

        self.step(f"follow up with {command}", work, str)

    def tell_channel(self, environment: Environment, text: str) -> None:
        """Tell something in an environment's channel, as an operation of its own."""
        mine = self.operation
        audience = {"user": "", **mine.audience, "kind": "slack", "channel": environment.channel}
        audience |= {"thread": "", "public": True}

        def work() -> str:
            self._store.submit(
                f"{mine.id}/tell", line=f"tell {environment.name} {text}", command="tell",
                environment=environment.name, person=mine.person, front=mine.front,
                audience=audience,
            )  # fmt: skip
            return ""

        self.step("tell the channel", work, str)

    def _held(self) -> Adapters:
        if self._adapters is None:
            raise RuntimeError(
                f"{self.operation.command} was to be answered here, without adapters"
            )
        return self._adapters

    def _recorded(self, name: str) -> Recorded:
        return Recorded(self, name, getattr(self._held(), name))


class Recorded:
    """An adapter whose every call is a step."""

    def __init__(self, job: Job, name: str, adapter: object) -> None:
        self._job, self._name, self._adapter = job, name, adapter

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        method = getattr(self._adapter, verb)
        kind = get_type_hints(method)["return"]
        name = f"{self._name}.{verb}"
        return lambda *a, **k: self._job.step(name, lambda: method(*a, **k), kind)


class History:
    """What was done before, and what runs: the store, as commands see it."""

    def __init__(self, job: Job, store: Store) -> None:
        self._job, self._store = job, store

    def live(self, environment: str = "") -> list[Operation]:
        return self._job.step("live", lambda: self._store.live(environment), list[Operation])

    def get(self, number: str) -> Operation | None:
        return self._job.step("get", lambda: self._store.get(number), Operation | None)

    def past(self, environment: str, command: str, limit: int = 20) -> list[Operation]:
        return self._job.step(
            "past", lambda: self._store.history(environment, command, limit), list[Operation]
        )

    def releases(self, environment: str) -> list[Release]:
        return self._job.step(
            "releases", lambda: self._store.releases.newest(environment), list[Release]
        )

    def question(self, operation: Operation) -> Question | None:
        """Return what an operation asked at its end."""

        def work() -> Question | None:
            asked = [e.event for e in self._store.entries(operation.id)]
            return next((e for e in asked if isinstance(e, Question)), None)

        return self._job.step("question", work, Question | None)

    def last_run(self, name: str) -> Operation | None:
        """Return the newest operation that a line of the schedule made."""
        return self._job.step(
            "last run", lambda: self._store.newest_of(f"{name}:"), Operation | None
        )

    def lock(self, environment: str) -> Lock | None:
        return self._job.step("lock", lambda: self._store.locks.of(environment), Lock | None)

    def locks(self) -> list[Lock]:
        return self._job.step("locks", self._store.locks.all, list[Lock])

    def take_lock(self, environment: str, reason: str, seconds: float | None) -> Lock:
        """Lock an environment, and return the lock in force: another one's, if it was faster."""
        me, now = self._job.speaker.name, self._job.now()
        mine = Lock(environment, me, reason, now, now + seconds if seconds else None)
        return self._job.step("take lock", lambda: self._store.locks.take(mine), Lock)

    def drop_lock(self, lock: Lock) -> bool:
        return self._job.step("drop lock", lambda: self._store.locks.drop(lock), bool)

    def begin_release(self, environment: str, commit: Commit) -> Release:
        mine = self._job.operation
        return self._job.step(
            "begin release",
            lambda: self._store.releases.begin(
                environment, mine.id, commit.id, commit.ref, commit.subject, mine.person
            ),
            Release,
        )

    def end_release(self, state: str) -> None:
        def work() -> str:
            self._store.releases.end(self._job.operation.id, state)
            return state

        self._job.step("end release", work, str)

    def cancel(self, operation: Operation) -> str:
        by = self._job.speaker.name
        return self._job.step("cancel", lambda: self._store.cancel(operation.id, by), str)


@cache
def adapter_of(kind: Any) -> TypeAdapter[Any]:
    """Return the reader and writer of a type's JSON."""
    return TypeAdapter(kind)
