"""The way of one request, whichever front it came through: parse, authorise, record.

`ask` is one short transaction and never speaks to the outside world: a front calls it before it
answers. What needs nothing but the store is answered here; all else becomes an operation.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from bot import words
from bot.command import Command
from bot.config import Config
from bot.errors import BotError, Busy
from bot.events import Stopped
from bot.job import Job
from bot.parse import Call, parse
from bot.people import People, Speaker, Who
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


@dataclass(frozen=True)
class Reply:
    """What is answered at once and privately; `operation` is the id of what was accepted."""

    text: str
    ok: bool
    operation: str = ""
    duplicate: bool = False
    lines: tuple[str, ...] = ()


class Dispatcher:
    """Turns requests into operations, or says why not."""

    def __init__(self, config: Config, commands: Mapping[str, Command], store: Store) -> None:
        self.config, self.commands, self.store = config, commands, store
        self.people = People(config)

    def ask(self, request: Request) -> Reply:
        """Take one request; raises nothing, since a front must always have an answer."""
        try:
            speaker = self.people.identify(request.who)
            call = parse(request.text, self.commands, self.config)
            self.people.authorise(speaker, call.command.permission, call.environment)
            if call.command.here:
                return self._answer(call, speaker, request)
            return self._record(call, speaker, request)
        except BotError as error:
            return Reply(str(error), ok=False)
        except SQLAlchemyError:
            log.exception("recording %r", request.id)
            return Reply(
                "the database cannot be reached: nothing was accepted\nsay it again", ok=False
            )
        except Exception:
            log.exception("bug while answering %r", request.id)
            return Reply(f"this is a bug of Packlead; its log tells more ({request.id})", ok=False)

    def recall(self, operation: Operation) -> tuple[Call, Speaker]:
        """Read an operation's line again, to run it: it must still be understood and allowed.

        Groups were checked when it was asked; a person who was struck off since is refused.
        """
        call = parse(operation.line, self.commands, self.config)
        return call, Speaker(operation.person)

    def _record(self, call: Call, speaker: Speaker, request: Request) -> Reply:
        if call.exclusive and self.store.get(request.id) is None:
            self.heed_lock(call.environment, speaker.name, request.who.front)
        operation, new = self.store.submit(
            request.id,
            line=call.line,
            command=call.command.name,
            environment=call.environment,
            person=speaker.name,
            front=request.who.front,
            audience=request.audience,
            exclusive=call.exclusive,
        )
        if new and call.command.takes_over:
            self._take_over(operation)
        text = f"{call.line}: accepted as #{operation.number}"
        return Reply(text, ok=True, operation=operation.id, duplicate=not new)

    def heed_lock(self, environment: str, person: str, front: str) -> None:
        """Raise Busy where somebody keeps an environment; whoever it is may still type themselves.

        A push by the holder is stopped: after a rollback it would put the bad release back.
        """
        lock = self.store.locks.of(environment)
        if lock and not (lock.person == person and front in TYPED):
            raise Busy(words.lock_line(lock, self.store.now()), f"ask {lock.person}, or wait")

    def _take_over(self, operation: Operation) -> None:
        for other in self.store.live(operation.environment):
            if other.command == "deploy" and other.exclusive and other.number < operation.number:
                self.store.cancel(other.id, operation.person)

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


class Here:
    """Steps that are not remembered: an answer given at once has nothing to go back to."""

    def run(self, _name: str, work: Callable[[], Any]) -> Any:
        return work()

    def cancelled(self) -> str:
        return ""

    def alive(self) -> str:
        return ""
