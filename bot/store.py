"""The database: operations and their logs, locks, releases, and where each audience stands.

The row of an operation is the truth, and the lock: a partial unique index lets one exclusive
operation run in an environment. The same code on SQLite (WAL) and Postgres. Every verb is one
transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from bot.audit import Audit
from bot.database import SILENCE, WAIT
from bot.events import (
    Accepted,
    Done,
    Entry,
    Event,
    Note,
    Question,
    Stopped,
    WasCancelled,
    decode,
    encode,
)
from bot.locks import Lock, Locks
from bot.notes import Notes
from bot.operations import LIVE, PUSHES, WAITS, Operation, read_operation
from bot.releases import Release, Releases
from bot.schema import events, operations
from bot.sealed import Sealed
from bot.turns import Turns
from bot.witness import Witness

__all__ = ["Lock", "Operation", "Release", "Store"]

# What stands before a new exclusive operation of an environment.
BEFORE = (
    sa.select(sa.func.max(operations.c.number))
    .where(operations.c.environment == sa.bindparam("environment"), operations.c.exclusive)
    .where(operations.c.state.in_(("queued", "running")))
    .where(operations.c.number != sa.bindparam("number"))
)


class Begun(NamedTuple):
    """How an operation was taken up: mine, busy, or closed; and as which holder."""

    state: str
    holder: int = 0


class Store(Notes):
    """All that is remembered."""

    def __init__(
        self,
        url: str,
        patience: float = 0.0,
        clock: Callable[[], float] = time.time,
        key: bytes = b"",
        wait: float = WAIT,
        silence: float = SILENCE,
        data: Path | None = None,
    ) -> None:
        """`data` is the folder in which this machine keeps what it has written to the audit."""
        super().__init__(url, patience, clock, wait, silence)
        self.locks, self.releases = Locks(self), Releases(self)
        self.audit = Audit(self, key, Witness(data))
        self.sealed, self.turns = Sealed(self, key), Turns(self)
        self.key = key

    # -- operations ------------------------------------------------------------------------------

    def submit(
        self,
        id: str,
        *,
        line: str,
        command: str,
        environment: str,
        person: str,
        front: str,
        audience: Mapping[str, Any] | None = None,
        exclusive: bool = False,
        parent: str = "",
        value: str | None = None,
        takes_over: bool = False,
    ) -> tuple[Operation, bool]:
        """Record a request as an operation; False where its id is known already.

        `value` is what its worker needs and nobody may read: it is sealed. With `takes_over` the
        deploys that stand before it are cancelled.
        """

        def work(c: sa.Connection) -> tuple[Operation, bool]:
            row = {
                "id": id, "line": line, "command": command, "environment": environment,
                "person": person, "front": front, "audience": dict(audience or {}),
                "audience_kind": (audience or {}).get("kind", ""), "exclusive": exclusive,
                "parent": parent, "state": "queued", "created": self.now(),
            }  # fmt: skip
            if takes_over:
                self._held(c, _deploys(environment))
            made = self._insert(c, row)
            if made and value is not None:
                self.sealed.put(c, id, value)
            if made and takes_over:
                self._take_over(c, made)
            return (made, True) if made else (read_operation(c.execute(_by_id(id)).one()), False)

        return self.transact(work)

    def ask(self, id: str, question: Question, holder: int = 0) -> None:
        """Leave an operation waiting for an answer; not where `holder` is it no more."""

        def work(c: sa.Connection) -> None:
            if holder and not self.turns.holds(c, id, holder):
                return
            if self._move(c, id, ("running",), state="waiting"):
                self._append(c, id, "question", question)
                self.audit.add(c, "asked", id, {"text": question.text, "token": question.token})

        self.transact(work)

    def approve(
        self, asked: Operation, token: str, by: str, takes_over: bool = False
    ) -> Operation | None:
        """Let a waiting operation go on as a new one; None where it was answered already."""

        def work(c: sa.Connection) -> Operation | None:
            if not self._move(c, asked.id, ("waiting",), state="done", finished=self.now()):
                return None
            row = vars(asked) | {
                "id": f"yes:{asked.number}", "state": "queued", "created": self.now(),
                "audience": dict(asked.audience), "audience_kind": asked.audience.get("kind", ""),
                "started": None, "finished": None, "approval": token, "approved_by": by,
            }  # fmt: skip
            del row["number"]
            if takes_over:
                self._held(c, _deploys(asked.environment))
            made = self._insert(c, row)
            if made:
                self.sealed.move(c, asked.id, made.id)
                if takes_over:
                    self._take_over(c, made)
                self._append(c, asked.id, "end", Done(f"{by} said yes: it is #{made.number} now"))
                self.audit.add(c, "ended", asked.id, {"state": "done", "by": by})
            return made

        return self.transact(work)

    def expire(self) -> None:
        """Close the questions that nobody answered in time, and drop what was sealed too long."""
        self.sealed.expire()
        for operation in self.live():
            if operation.state == "waiting":
                asked = [e.event for e in self.entries(operation.id)]
                until = next((e.until for e in asked if isinstance(e, Question)), 0.0)
                if until and until < self.now():
                    told = Stopped("nobody said yes in time", f"again: {operation.line}", "expired")
                    self.end(operation.id, "failed", told)

    def get(self, id: str) -> Operation | None:
        """Return an operation by its id, or by its number as people write it (12 or #12)."""
        number = id.removeprefix("#")
        query = sa.select(operations).where(
            (operations.c.number == int(number))
            if number.isdecimal() and len(number) < 10
            else (operations.c.id == id)
        )
        row = self.look(lambda c: c.execute(query).first())
        return read_operation(row) if row else None

    def live(self, environment: str = "") -> list[Operation]:
        """Return what has not ended yet, oldest first."""
        query = sa.select(operations).where(operations.c.state.in_(LIVE))
        if environment:
            query = query.where(operations.c.environment == environment)
        return self._operations(query.order_by(operations.c.number))

    def history(self, environment: str = "", command: str = "", limit: int = 20) -> list[Operation]:
        """Return the newest operations, newest first."""
        query = sa.select(operations).where(operations.c.parent == "")
        if environment:
            query = query.where(operations.c.environment == environment)
        if command:
            query = query.where(operations.c.command == command)
        return self._operations(query.order_by(operations.c.number.desc()).limit(limit))

    def newest_of(self, prefix: str) -> Operation | None:
        """Return the newest operation whose id begins like this."""
        query = sa.select(operations).where(operations.c.id.startswith(prefix, autoescape=True))
        found = self._operations(query.order_by(operations.c.number.desc()).limit(1))
        return found[0] if found else None

    def children(self, id: str) -> list[Operation]:
        """Return what followed up an operation, oldest first."""
        query = sa.select(operations).where(operations.c.parent == id)
        return self._operations(query.order_by(operations.c.number))

    def holder(self, environment: str) -> Operation | None:
        """Return the exclusive operation that runs in an environment."""
        found = [o for o in self.live(environment) if o.exclusive and o.state == "running"]
        return found[0] if found else None

    def begin(self, id: str) -> Begun:
        """Take the environment for an operation, and become its holder."""

        def work(c: sa.Connection) -> Begun:
            row = c.execute(_by_id(id).with_for_update()).first()
            if row is None or row.state not in ("queued", "running"):
                return Begun("closed")
            if row.state == "queued":
                self._move(c, id, ("queued",), state="running", started=self.now())
            return Begun("mine", self.turns.take_up(c, id))

        try:
            return self.transact(work)
        except IntegrityError:
            return Begun("busy")  # the index spoke: another one runs in this environment

    def end(
        self, id: str, state: str, event: Event, holder: int = 0, of: Iterable[str] = LIVE
    ) -> None:
        """Close an operation that is in one of these states, and append its last event.

        Not where `holder` is it no more.
        """

        def work(c: sa.Connection) -> None:
            if holder and not self.turns.holds(c, id, holder):
                return
            self._close(c, id, of, state, event)

        self.transact(work)

    def cancel(self, id: str, by: str, where: str = "before it began") -> str:
        """Ask an operation to stop: cancelled (had not begun), cancelling, or too late."""

        return self.transact(lambda c: self._cancel(c, id, by, where))

    def supersede(self, newer: Operation) -> None:
        """Cancel what a newer push makes needless: older ones of the same line that still wait."""

        def work(c: sa.Connection) -> None:
            older = (
                operations.c.front.in_(PUSHES)
                & (operations.c.line == newer.line)
                & (operations.c.environment == newer.environment)
                & (operations.c.number < newer.number)
            )
            query = sa.select(operations.c.id).where(older, operations.c.state.in_(WAITS))
            told = WasCancelled("a newer push", f"superseded by #{newer.number}")
            for row in self._held(c, query):
                self._close(c, row.id, WAITS, "cancelled", told, f"#{newer.number}")

        self.transact(work)

    # -- the log ---------------------------------------------------------------------------------

    def append(self, operation: str, key: str, event: Event) -> None:
        """Append an event to an operation's log, once for each key."""
        self.transact(lambda c: self._append(c, operation, key, event))

    def add(self, c: sa.Connection, operation: str, key: str, event: Event) -> bool:
        """Append an event within a transaction; False where its key is there already."""
        return self._append(c, operation, key, event)

    def entries(self, operation: str, after: int = 0, limit: int = 1000) -> list[Entry]:
        """Return an operation's log after an entry's number, oldest first."""
        return self._entries(events.c.operation == operation, after, limit)

    def entries_after(self, number: int, limit: int = 1000) -> list[Entry]:
        """Return the entries of all operations; on Postgres a late writer's may be missing."""
        return self._entries(sa.true(), number, limit)

    def newest_entry(self) -> int:
        return self.look(lambda c: c.execute(sa.select(sa.func.max(events.c.number))).scalar()) or 0

    # -- below -----------------------------------------------------------------------------------

    def _close(
        self, c: sa.Connection, id: str, of: Iterable[str], state: str, event: Event, by: str = ""
    ) -> bool:
        """Close an operation that is in one of these states; False where it is in none."""
        told = {"cancelled_by": by} if by else {}
        if not self._move(c, id, of, state=state, finished=self.now(), **told):
            return False
        self._append(c, id, "end", event)
        self.audit.add(c, "ended", id, {"state": state} | ({"by": by} if by else {}))
        self.sealed.drop(c, id)
        return True

    def _held(self, c: sa.Connection, query: sa.Select[Any]) -> Sequence[Any]:
        """Return operations that stay as they are for the rest of a transaction.

        Asked for before the audit is: who has the one and waits for the other stands in the way of
        who has the other.
        """
        return c.execute(query.order_by(operations.c.number).with_for_update()).all()

    def _cancel(self, c: sa.Connection, id: str, by: str, where: str) -> str:
        if self._close(c, id, WAITS, "cancelled", WasCancelled(by, where), by):
            return "cancelled"
        if self._move(c, id, ("running",), cancelled_by=by):
            self._append(c, id, "cancel", Note(f"{by} asks to stop"))
            return "cancelling"
        return "too late"

    def _take_over(self, c: sa.Connection, newer: Operation) -> None:
        """Cancel the deploys before an operation, in the transaction that records it: whoever
        reads of the one reads of the other, whatever ends in between."""
        before = _deploys(newer.environment).where(operations.c.number < newer.number)
        for row in c.execute(before).all():
            self._cancel(c, row.id, newer.person, f"#{newer.number} takes over")

    def _insert(self, c: sa.Connection, row: dict[str, Any]) -> Operation | None:
        """Insert an operation and the first entry of its log; None where its id is known."""
        number = self.insert_once(c, operations, row, operations.c.number)
        if number is None:
            return None
        before = (
            row["exclusive"]
            and c.execute(BEFORE, {"environment": row["environment"], "number": number}).scalar()
        )
        accepted = Accepted(
            row["line"], row["person"], row["front"], f"#{before}" if before else ""
        )
        self._append(c, row["id"], "accepted", accepted, new=True)
        told = ("line", "person", "front", "environment", "parent", "approval", "approved_by")
        self.audit.add(c, "accepted", row["id"], {k: row[k] for k in told if row.get(k)})
        return Operation(number, **{k: v for k, v in row.items() if k != "audience_kind"})

    def _append(
        self, c: sa.Connection, operation: str, key: str, event: Event, new: bool = False
    ) -> bool:
        if not (new or self.alone):
            # The row lock puts the numbers of one operation's entries in the order of commits.
            mine = sa.select(operations.c.number).where(operations.c.id == operation)
            c.execute(mine.with_for_update())
        kind, data = encode(event)
        row = {"operation": operation, "key": key, "at": self.now(), "kind": kind, "data": data}
        return self.insert_once(c, events, row, events.c.number) is not None

    def _move(self, c: sa.Connection, id: str, states: Iterable[str], **values: Any) -> bool:
        where = (operations.c.id == id) & operations.c.state.in_(tuple(states))
        update = operations.update().where(where).values(**values)
        return c.execute(update.returning(operations.c.id)).first() is not None

    def _operations(self, query: sa.Select[Any]) -> list[Operation]:
        return [read_operation(row) for row in self.look(lambda c: c.execute(query).all())]

    def _entries(self, where: sa.ColumnElement[bool], after: int, limit: int) -> list[Entry]:
        query = sa.select(events).where(where, events.c.number > after)
        query = query.order_by(events.c.number).limit(limit)
        rows = self.look(lambda c: c.execute(query).all())
        return [Entry(r.number, r.operation, r.key, r.at, decode(r.kind, r.data)) for r in rows]


def _deploys(environment: str) -> sa.Select[Any]:
    """Ask for the deploys of an environment that have not ended."""
    deploys = (operations.c.command == "deploy") & operations.c.exclusive
    deploys &= operations.c.environment == environment
    return sa.select(operations.c.id).where(deploys, operations.c.state.in_(LIVE))


def _by_id(id: str) -> sa.Select[Any]:
    return sa.select(operations).where(operations.c.id == id)
