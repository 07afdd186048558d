"""The way of one request, whichever front it came through: parse, authorise, record.

`ask` is one short transaction and never speaks to the outside world: a front calls it before it
answers. What needs nothing but the store is answered here; all else becomes an operation.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from bot import disk, words
from bot.command import Command, never
from bot.config import Config
from bot.database import FULL
from bot.errors import BotError, Busy, Misunderstood, Refused
from bot.events import Stopped
from bot.frozen import Freeze
from bot.job import Job
from bot.operations import PUSHES
from bot.parse import Call, normalise, parse
from bot.people import People, Speaker, Who
from bot.sealed import fit
from bot.sessions import Sessions
from bot.store import Operation, Store

log = logging.getLogger(__name__)

TYPED = ("slack", "terminal")  # fronts where a person said just that


@dataclass(frozen=True)
class Request:
    """What somebody asked. `id` is its idempotency key: however often it comes, it is done once."""

    id: str
    text: str
    who: Who
    audience: Mapping[str, Any] = field(default_factory=dict)
    value: str | None = field(default=None, repr=False)  # what nobody may read: it is sealed


@dataclass(frozen=True)
class Wanted:
    """A line that goes on with a value only: whoever asked may type it, where nobody else looks."""

    line: str
    key: str
    environment: str  # empty: it must be said too, and is one of these
    environments: tuple[str, ...]


@dataclass(frozen=True)
class Reply:
    """What is answered at once and privately; `operation` is the id of what was accepted."""

    text: str
    ok: bool
    operation: str = ""
    duplicate: bool = False
    lines: tuple[str, ...] = ()
    wanted: Wanted | None = None


def public(channel: str, user: str = "") -> dict[str, Any]:
    """Return a channel as audience, for what was not asked there; `user`: who asked, in Slack."""
    return {"kind": "slack", "channel": channel, "public": True, "user": user}


class Dispatcher:
    """Turns requests into operations, or says why not."""

    def __init__(self, config: Config, commands: Mapping[str, Command], store: Store) -> None:
        self.config, self.commands, self.store = config, commands, store
        self.people, self.sessions = People(config), Sessions(store)
        self.windows: Callable[[str], Freeze | None] = lambda _: None  # freezes of the config

    def ask(self, request: Request) -> Reply:
        """Take one request; raises nothing, since a front must always have an answer."""
        try:
            speaker = self.people.identify(request.who)
            call = parse(request.text, self.commands, self.config)
            self._authorise(call, speaker, request)
            if call.command.here:
                return self._answer(call, speaker, request)
            if call.command.value(call.arguments) and request.value is None:
                return self._want(call, speaker)
            return self._record(call, speaker, request)
        except BotError as error:
            return Reply(str(error), ok=False)
        except SQLAlchemyError as error:
            log.exception("recording %r", request.id)
            return Reply(away(error, "nothing was accepted"), ok=False)
        except Exception:
            log.exception("bug while answering %r", request.id)
            return Reply(f"this is a bug of Packlead; its log tells more ({request.id})", ok=False)

    def type(self, request: Request) -> Reply | None:
        """Take a message for the shell that its person has open; None where there is none."""
        try:
            speaker = self.people.identify(request.who)
        except BotError:
            return None
        try:
            operation = self.sessions.of(speaker.name)
            if operation is None:
                return None
            self.people.authorise(speaker, "shell", operation.environment)
            self.sessions.type(operation, request.id, request.text)
            return Reply("", ok=True, operation=operation.id)
        except BotError as error:
            return Reply(str(error), ok=False)
        except SQLAlchemyError as error:
            log.exception("recording %r", request.id)
            return Reply(away(error, "the shell did not get it"), ok=False)

    def tell(self, id: str, environment: str, text: str, front: str, person: str) -> None:
        """Have something said in an environment's channel, once for each id."""
        said = shlex.quote(normalise(text)[:1000].lstrip("-"))  # else it would be a flag
        channel = self.config.environments[environment].channel
        self.store.submit(
            id, line=f"tell {environment} {said}", command="tell", environment=environment,
            person=person[:80], front=front,
            audience=public(channel),
        )  # fmt: skip

    def _authorise(self, call: Call, speaker: Speaker, request: Request) -> None:
        """Raise Refused, and say so in the audit; so is what is answered here, before it is."""
        told = {"line": call.line, "person": speaker.name, "front": request.who.front}
        try:
            self.people.authorise(speaker, call.command.permission, call.environment)
            if call.arguments.get("force") is not None:
                self.people.authorise(speaker, "force", call.environment)
        except Refused:
            self.store.audit.write("refused", request.id[:200], told)
            raise
        if call.command.here and call.command.permission != "status":
            self.store.audit.write("said", request.id[:200], told)

    def recall(self, operation: Operation) -> tuple[Call, Speaker]:
        """Read an operation's line again, to run it: it must still be understood."""
        call = parse(operation.line, self.commands, self.config)
        return call, Speaker(operation.person)

    def _want(self, call: Call, speaker: Speaker) -> Reply:
        """Ask for the value; a front that cannot shows how it is said where one can."""
        may = (e for e in self.config.environments if not call.environment or e == call.environment)
        known = tuple(e for e in may if self.people.may(speaker, call.command.permission, e))
        key = str(call.arguments.get("key", ""))
        wanted = Wanted(call.line, key, call.environment, known)
        text = f"{call.command.name} asks for the value in a form of its own"
        hint = f"type /{call.line} in Slack, or have a random one: {call.line} --generate"
        return Reply(f"{text}\n{hint}", ok=False, wanted=wanted)

    def _record(self, call: Call, speaker: Speaker, request: Request) -> Reply:
        value = request.value if call.command.value(call.arguments) else None
        if value is not None:
            fit(value)
        if call.exclusive and not call.environment and call.command.value is not never:
            raise Misunderstood(f"{call.command.name} needs an ENV here", f"{call.line} ENV")
        if call.heeds_lock and self.store.get(request.id) is None:
            self.heed_lock(call.environment, speaker.name, request.who.front)
            self._heed_release(call)
            if self.store.alone and not call.command.takes_over:
                disk.heed(Path(self.config.data))
        operation, new = self.store.submit(
            request.id,
            line=call.line,
            command=call.command.name,
            environment=call.environment,
            person=speaker.name,
            front=request.who.front,
            audience=self._audience(call, speaker, request),
            exclusive=call.exclusive,
            value=value,
            takes_over=call.command.takes_over and self._may_stop(call, speaker),
        )
        if new and operation.front in PUSHES:
            self.store.supersede(operation)
        text = f"{call.line}: accepted as #{operation.number}"
        return Reply(text, ok=True, operation=operation.id, duplicate=not new)

    def heed_lock(self, environment: str, person: str, front: str) -> None:
        """Raise Busy where somebody keeps an environment; whoever it is may still type themselves.

        A push by the holder is stopped: after a rollback it would put the bad release back.
        """
        lock = self.store.locks.of(environment)
        if lock and not (lock.person == person and front in TYPED):
            raise Busy(words.lock_line(lock, self.store.now()), f"ask {lock.person}, or wait")

    def heed_rights(self, operation: Operation, permission: str) -> None:
        """Raise Refused where the config gives somebody no such right any more, before they begin.

        Which groups somebody is in only the front knew: a right that one of them may give stands.
        """
        if operation.parent or self.people.may_have(
            operation.person, permission, operation.environment
        ):
            return
        where = f" on {operation.environment}" if operation.environment else ""
        raise Refused(f"{operation.person} may not {permission}{where} any more")

    def _heed_release(self, call: Call) -> None:
        """Raise Misunderstood for a release that never was: a slip must not stop a deploy.

        Raise Refused where what it should go back from is not the newest any more.
        """
        name, number = call.environment, call.arguments.get("release")
        if number is not None and self.store.releases.get(name, number) is None:
            raise Misunderstood(f"{name} has no release {number}", f"releases {name} shows them")
        if (away := call.arguments.get("_from")) is not None:
            self._heed_newest(name, away)

    def _heed_newest(self, environment: str, number: str) -> None:
        brought = self.store.get(number)
        # A rollback that failed brought nothing: after it one goes back from the same.
        newest = (
            r
            for r in self.store.releases.newest(environment)
            if not (r.state == "failed" and r.ref.startswith("rollback to "))
        )
        last = next(newest, None)
        if last is None or brought is None or last.operation != brought.id:
            now = f": that is release {last.number} ({last.commit[:7]}) now" if last else ""
            raise Refused(
                f"what #{number} brought is not the newest of {environment}{now}",
                f"releases {environment} shows them; rollback {environment} goes back from the "
                "newest",
            )

    def _may_stop(self, call: Call, speaker: Speaker) -> bool:
        """Say whether deploys are stopped at once: in an emergency each minute counts.

        Where somebody must say yes first, asking alone stops them for who may cancel them anyway;
        for others the yes does.
        """
        environment = self.config.environments[call.environment]

        def may(permission: str) -> bool:
            return self.people.may(speaker, permission, environment.name)

        forced = call.arguments.get("force") is not None and environment.force and may("force")
        return environment.approval == "none" or forced or may("cancel")

    def _audience(self, call: Call, speaker: Speaker, request: Request) -> Mapping[str, Any]:
        """Return where it is told: what takes an environment from a terminal is seen by all."""
        if call.command.direct:
            return {**request.audience, "direct": True}
        if request.who.front != "terminal" or not call.exclusive or not call.environment:
            return request.audience
        person = self.config.people.get(speaker.name)
        channel = self.config.environments[call.environment].channel
        return public(channel, person.slack if person else "")

    def _answer(self, call: Call, speaker: Speaker, request: Request) -> Reply:
        operation = Operation(
            0, request.id, call.line, call.command.name, call.environment, speaker.name,
            request.who.front, "running", self.store.now(), request.audience,
        )  # fmt: skip
        job = Job(
            operation, speaker, self.config, self.store, self.people, Here(), commands=self.commands
        )
        told: list[str] = []
        ok = True
        for event in call.command.function(job, **call.arguments):
            told += words.lines(event)
            ok = ok and not isinstance(event, Stopped)
        return Reply("\n".join(told), ok=ok, lines=tuple(told))


def away(error: SQLAlchemyError, what: str) -> str:
    """Say that the database did not take something, and what to do."""
    said = str(getattr(error, "orig", None) or error)
    if FULL in said:
        return f"the database's disk is full: {what}\nhave somebody make room, then say it again"
    return f"the database cannot be reached: {what}\nsay it again"


class Here:
    """Steps that are not remembered: an answer given at once has nothing to go back to."""

    def run(self, _name: str, work: Callable[[], Any]) -> Any:
        return work()

    def cancelled(self) -> str:
        return ""

    def alive(self) -> str:
        return ""

    def take(self, place: str, _look: Callable[[str], str], _whole: str = "") -> tuple[int, bool]:
        raise RuntimeError(f"{place} was to be played by what is answered here")
