"""What a command gets to work with. Its adapters are recorded: what they answered is remembered.

Between two yields a command only decides, from what earlier calls returned; every call of an
adapter, every reading of the clock and every told event is a named step of the engine, which a
replay does not repeat.
"""

from __future__ import annotations

import hashlib
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, Protocol, TypeVar, cast, get_type_hints

from pydantic import TypeAdapter

from bot.adapters.aws.records import Instance
from bot.adapters.records import Outcome
from bot.audit import EFFECTS
from bot.config import Config, Environment
from bot.errors import Cancelled, Refused
from bot.events import Event, Question
from bot.far import Far
from bot.history import History
from bot.links import Links
from bot.outside import Adapters, Aws, Calendar, Git, GitHub, Hosts, Secrets
from bot.parse import normalise
from bot.people import People, Speaker
from bot.plays import Play, Plays
from bot.shards import Shards
from bot.store import Operation, Store

T = TypeVar("T")


class Steps(Protocol):
    """How the engine remembers: `run` does a named thing once; `cancelled` says who said stop.

    `alive` says nothing; both let go of the operation where this worker must. `take` returns the
    turn of a play, and whether it was interrupted elsewhere; `look` says how a run is here.
    """

    def run(self, name: str, work: Callable[[], Any]) -> Any: ...
    def cancelled(self) -> str: ...
    def alive(self) -> str: ...
    def take(self, place: str, look: Callable[[str], str], whole: str = "") -> tuple[int, bool]: ...


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
        self.far = Far(self, store, steps)
        self.plays = Plays(self, store, steps)
        self.shards = Shards(self, store, steps)

    @property
    def aws(self) -> Aws:
        return cast(Aws, self._recorded("aws"))

    @property
    def git(self) -> Git:
        return cast(Git, self._recorded("git"))

    @property
    def hosts(self) -> Hosts:
        return cast(Hosts, self._recorded("hosts"))

    @property
    def github(self) -> GitHub:
        return cast(GitHub, self._recorded("github"))

    @property
    def secrets(self) -> Secrets:
        return cast(Secrets, self._recorded("secrets"))

    @property
    def calendar(self) -> Calendar:
        return cast(Calendar, self._recorded("calendar"))

    def play(
        self,
        playbook: str,
        environment: str,
        hosts: Sequence[Instance],
        variables: Mapping[str, Any],
        stoppable: bool = True,
        *,
        mend: str = "",
        plays: Sequence[str] = (),
        whole: str = "",
        tell: Callable[[str, Event], None] | None = None,
        asked: Callable[[], str] | None = None,
    ) -> Outcome:
        """Run a playbook to its end; raises Cancelled if it is stoppable and somebody says stop.

        `mend` is played first where it was interrupted with the machine that ran it. `plays` are
        the ones to run, where that is not all; `whole` is the operation as whose part the hosts
        are asked; `tell` is where events go, if not into this operation's log; `asked` says who has
        said stop, if not whoever cancels it.
        """
        self._count += 1
        place = f"{self.operation.number}-{self._count}"
        append = tell or partial(self._store.append, self.operation.id)
        stop = (asked or self._steps.cancelled) if stoppable else self._steps.alive
        play = Play(
            playbook, environment, hosts, variables, append, stop, mend, tuple(plays), whole
        )

        def work() -> Outcome:
            told = {"playbook": playbook, "hosts": [h.name for h in hosts]}
            return self.audited(f"play {playbook}", told, played)

        def played() -> Outcome:
            return self.plays.play(place, play)

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

    def pause(self, seconds: float) -> None:
        """Wait; raises Cancelled as soon as somebody says stop."""

        def work() -> str:
            end = time.monotonic() + seconds
            while (left := end - time.monotonic()) > 0:
                if by := self._steps.cancelled():
                    raise Cancelled(by)
                time.sleep(min(left, 0.25))
            return ""

        self.step("pause", work, str)

    def may(self, permission: str, environment: str = "") -> bool:
        return self.people.may(self.speaker, permission, environment)

    def authorise(self, asked: Operation) -> None:
        """Raise Refused unless this person may say what that operation says."""
        known = self.commands.get(asked.command)
        permission = known.permission if known else asked.command
        self.people.authorise(self.speaker, permission, asked.environment)

    def check_force(self, environment: Environment) -> None:
        """Raise Refused unless an environment's policy may be passed over.

        Whether this person may was looked at when it was asked: their groups were known then, and a
        replay must come to the same.
        """
        if not environment.force:
            raise Refused(
                f"{environment.name} takes no --force", f"environments.{environment.name}.force"
            )

    def settle(
        self,
        environment: Environment,
        about: Sequence[str],
        text: str,
        *,
        force: str | None = None,
        always: bool = False,
    ) -> Question | None:
        """Return what must be asked before going on, by the environment's policy; None: go on.

        `about` is exactly what would be done, nothing of it may change by itself (no times): a yes
        holds for these words alone. With `always` whoever asked is asked back under any policy.
        `force` is the reason given for passing over the policy; raises Refused where it may not be.
        """
        whole = "\n".join((self.operation.line, *about))
        token = hashlib.sha256(whole.encode()).hexdigest()[:12]
        if self.operation.approval == token:
            return None
        if force is not None:
            self.check_force(environment)
            return None
        second = environment.approval == "approve"
        if environment.approval == "none" and not always:
            return None
        if by := self.operation.approved_by:
            text = f"what {by} said yes to has changed meanwhile: {text}"
        approvers = environment.approvers if second else ()
        until = self.now() + environment.approval_seconds
        return Question(text, token, tuple(about), second, approvers, until)

    def board_link(self, environments: Sequence[str] | None) -> str:
        """Return a signed link to the board; "" where the pages have no address."""
        return Links(self._store.key, self.config.url, self._store.now).board(environments)

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

    def hand_over(self, command: str, line: str) -> Operation:
        """Have another command change this one's environment, as if the same person said it now."""
        mine = self.operation

        def work() -> Operation:
            made, _ = self._store.submit(
                f"{mine.id}/{command}", line=line, command=command, environment=mine.environment,
                person=mine.person, front=mine.front, audience=mine.audience, exclusive=True,
            )  # fmt: skip
            return made

        return self.step(f"hand over to {command}", work, Operation)

    def tell_channel(
        self, environment: Environment, text: str, key: str = "tell", to: str = ""
    ) -> None:
        """Tell something in an environment's channel, as an operation of its own for each key.

        `to` names somebody who should notice.
        """
        call = f"--to {shlex.quote(to)} " if to else ""
        mine = self.operation
        audience = {"user": "", **mine.audience, "kind": "slack", "channel": environment.channel}
        audience |= {"thread": "", "public": True, "direct": False}

        def work() -> str:
            self._store.submit(
                f"{mine.id}/{key}", command="tell",
                line=f"tell {environment.name} {call}{shlex.quote(normalise(text))}",
                environment=environment.name, person=mine.person, front=mine.front,
                audience=audience,
            )  # fmt: skip
            return ""

        self.step(f"tell the channel {key}", work, str)

    def audited(self, what: str, told: Mapping[str, Any], work: Callable[[], T]) -> T:
        """Do something that has effects: said before, and after how it ended."""
        audit, mine, ended = self._store.audit, self.operation.id, "unknown"
        audit.write("intent", mine, {"what": what, **told})
        try:
            answer = work()
            ended = "done"
            return answer
        except Exception as error:
            ended = type(error).__name__
            raise
        finally:
            audit.write("outcome", mine, {"what": what, "ended": ended})

    def held(self) -> Adapters:
        if self._adapters is None:
            raise RuntimeError(
                f"{self.operation.command} was to be answered here, without adapters"
            )
        return self._adapters

    def _recorded(self, name: str) -> Recorded:
        return Recorded(self, name, getattr(self.held(), name))


class Recorded:
    """An adapter whose every call is a step."""

    def __init__(self, job: Job, name: str, adapter: object) -> None:
        self._job, self._name, self._adapter = job, name, adapter

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        method = getattr(self._adapter, verb)
        kind = get_type_hints(method)["return"]
        name = f"{self._name}.{verb}"

        def call(*a: Any, **k: Any) -> Any:
            def work() -> Any:
                return method(*a, **k)

            if name not in EFFECTS:
                return self._job.step(name, work, kind)
            told = {"about": [str(getattr(x, "id", x))[:200] for x in a]}
            return self._job.step(name, lambda: self._job.audited(name, told, work), kind)

        return call


@cache
def adapter_of(kind: Any) -> TypeAdapter[Any]:
    """Return the reader and writer of a type's JSON."""
    return TypeAdapter(kind)
