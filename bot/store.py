"""The database: operations and their logs, locks, releases, and where each audience stands.

The row of an operation is the truth, and the lock: a partial unique index lets one exclusive
operation run in an environment. The same code on SQLite (WAL) and Postgres. Every verb is one
transaction; with `patience` it is tried again until the database is back.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError, OperationalError

from bot import schema
from bot.events import Accepted, Entry, Event, Note, WasCancelled, decode, encode
from bot.schema import events, locks, notes, operations, releases, seen

T = TypeVar("T")
LIVE = ("waiting", "queued", "running")
DAY = 86400.0


@dataclass(frozen=True)
class Operation:
    """A request that was accepted. `number` is what people call it, and its epoch on the hosts."""

    number: int
    id: str
    line: str
    command: str
    environment: str
    person: str
    front: str
    state: str  # waiting, queued, running, done, failed, cancelled
    created: float  # Unix seconds, as the other times
    audience: Mapping[str, Any] = field(default_factory=dict)
    exclusive: bool = False
    parent: str = ""
    cancelled_by: str = ""
    started: float | None = None
    finished: float | None = None

    @property
    def live(self) -> bool:
        return self.state in LIVE


@dataclass(frozen=True)
class Lock:
    """A person keeps an environment for themselves; `until` is None where it has no end."""

    environment: str
    person: str
    reason: str
    since: float
    until: float | None = None


@dataclass(frozen=True)
class Release:
    """One numbered deployment of one commit to one environment."""

    environment: str
    number: int
    commit: str
    ref: str
    subject: str
    person: str
    operation: str
    state: str  # rolling, healthy, failed
    at: float


class Store:
    """All that is remembered. Thread-safe; opens the database and brings its schema up to date."""

    def __init__(
        self, url: str, patience: float = 0.0, clock: Callable[[], float] = time.time
    ) -> None:
        self.url, self.patience, self.now = url, patience, clock
        self.engine = connect(url)
        schema.upgrade(self.engine)

    def close(self) -> None:
        self.engine.dispose()

    def transact(self, work: Callable[[sa.Connection], T]) -> T:
        """Run one transaction; while patience lasts, again when the database is away."""
        give_up = time.monotonic() + self.patience
        while True:
            try:
                with self.engine.begin() as connection:
                    return work(connection)
            except OperationalError:
                if time.monotonic() >= give_up:
                    raise
                time.sleep(0.2)

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
    ) -> tuple[Operation, bool]:
        """Record a request as an operation; False where its id is known already."""

        def work(c: sa.Connection) -> tuple[Operation, bool]:
            row = {
                "id": id, "line": line, "command": command, "environment": environment,
                "person": person, "front": front, "audience": dict(audience or {}),
                "audience_kind": (audience or {}).get("kind", ""), "exclusive": exclusive,
                "parent": parent, "state": "queued", "created": self.now(),
            }  # fmt: skip
            new = self._insert_once(c, operations, row, operations.c.number)
            if new:
                before = c.execute(
                    sa.select(operations.c.number)
                    .where(
                        operations.c.environment == environment,
                        operations.c.exclusive,
                        operations.c.state.in_(("queued", "running")),
                        operations.c.id != id,
                    )
                    .order_by(operations.c.number.desc())
                ).first()
                behind = f"#{before.number}" if exclusive and before else ""
                self._append(c, id, "accepted", Accepted(line, person, front, behind))
            return _operation(c.execute(_by_id(id)).one()), new is not None

        return self.transact(work)

    def get(self, id: str) -> Operation | None:
        """Return an operation by its id, or by its number as people write it (12 or #12)."""
        number = id.removeprefix("#")
        query = sa.select(operations).where(
            (operations.c.number == int(number))
            if number.isdecimal() and len(number) < 10
            else (operations.c.id == id)
        )
        row = self.transact(lambda c: c.execute(query).first())
        return _operation(row) if row else None

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

    def children(self, id: str) -> list[Operation]:
        """Return what followed up an operation, oldest first."""
        query = sa.select(operations).where(operations.c.parent == id)
        return self._operations(query.order_by(operations.c.number))

    def holder(self, environment: str) -> Operation | None:
        """Return the exclusive operation that runs in an environment."""
        found = [o for o in self.live(environment) if o.exclusive and o.state == "running"]
        return found[0] if found else None

    def begin(self, id: str) -> str:
        """Take the environment for an operation: mine, busy, or closed."""

        def work(c: sa.Connection) -> str:
            row = c.execute(_by_id(id)).first()
            if row is None or row.state not in ("queued", "running"):
                return "closed"
            if row.state == "queued":
                self._move(c, id, ("queued",), state="running", started=self.now())
            return "mine"

        try:
            return self.transact(work)
        except IntegrityError:
            return "busy"  # the index spoke: another one runs in this environment

    def end(self, id: str, state: str, event: Event) -> None:
        """Close an operation and append its last event, together."""

        def work(c: sa.Connection) -> None:
            if self._move(c, id, LIVE, state=state, finished=self.now()):
                self._append(c, id, "end", event)

        self.transact(work)

    def cancel(self, id: str, by: str) -> str:
        """Ask an operation to stop: cancelled (had not begun), cancelling, or too late."""

        def work(c: sa.Connection) -> str:
            if self._move(
                c, id, ("waiting", "queued"), state="cancelled", cancelled_by=by,
                finished=self.now(),
            ):  # fmt: skip
                self._append(c, id, "end", WasCancelled(by, "before it began"))
                return "cancelled"
            if self._move(c, id, ("running",), cancelled_by=by):
                self._append(c, id, "cancel", Note(f"{by} asks to stop"))
                return "cancelling"
            return "too late"

        return self.transact(work)

    # -- the log ---------------------------------------------------------------------------------

    def append(self, operation: str, key: str, event: Event) -> None:
        """Append an event to an operation's log, once for each key."""
        self.transact(lambda c: self._append(c, operation, key, event))

    def entries(self, operation: str, after: int = 0, limit: int = 1000) -> list[Entry]:
        """Return an operation's log after an entry's number, oldest first."""
        return self._entries(events.c.operation == operation, after, limit)

    def entries_after(self, number: int, limit: int = 1000) -> list[Entry]:
        """Return the entries of all operations; on Postgres a late writer's may be missing."""
        return self._entries(sa.true(), number, limit)

    def newest_entry(self) -> int:
        return (
            self.transact(lambda c: c.execute(sa.select(sa.func.max(events.c.number))).scalar())
            or 0
        )

    # -- audiences, deliveries -------------------------------------------------------------------

    def note(self, audience: str, operation: str) -> dict[str, Any]:
        """Return where an audience stands in an operation's log."""
        query = sa.select(notes.c.data).where(
            notes.c.audience == audience, notes.c.operation == operation
        )
        return dict(self.transact(lambda c: c.execute(query).scalar()) or {})

    def keep_note(self, audience: str, operation: str, data: Mapping[str, Any]) -> None:
        """Remember where an audience stands; `"finished": True` means it has told all."""
        row = {
            "audience": audience, "operation": operation, "data": dict(data),
            "finished": bool(data.get("finished")),
        }  # fmt: skip

        def work(c: sa.Connection) -> None:
            update = notes.update().where(
                notes.c.audience == audience, notes.c.operation == operation
            )
            changed = c.execute(update.values(data=row["data"], finished=row["finished"]))
            if not changed.rowcount:
                c.execute(notes.insert().values(row))

        self.transact(work)

    def unfinished(self, audience: str) -> list[Operation]:
        """Return the operations of which an audience has not yet told everything."""
        joined = operations.outerjoin(
            notes, (notes.c.operation == operations.c.id) & (notes.c.audience == audience)
        )
        query = (
            sa.select(operations)
            .select_from(joined)
            .where(
                operations.c.audience_kind == audience,
                sa.or_(notes.c.finished.is_(None), ~notes.c.finished),
            )
        )
        return self._operations(query.order_by(operations.c.number))

    def once(self, key: str, seconds: float | None = None) -> bool:
        """Return True the first time a key is seen; it is kept a day, or as long as told."""

        def work(c: sa.Connection) -> bool:
            now = self.now()
            c.execute(seen.delete().where(seen.c.until < now))
            row = {"key": key, "until": now + (seconds or DAY)}
            return self._insert_once(c, seen, row, seen.c.key) is not None

        return self.transact(work)

    # -- locks and releases ----------------------------------------------------------------------

    def lock(self, environment: str) -> Lock | None:
        """Return the person's lock on an environment, unless it has expired."""
        row = self.transact(
            lambda c: c.execute(sa.select(locks).where(locks.c.environment == environment)).first()
        )
        if row is None or (row.until is not None and row.until < self.now()):
            return None
        return Lock(**row._asdict())

    def take_lock(self, lock: Lock) -> Lock:
        """Insert a lock, or return the one that is in force; compare to see whose it is."""

        def work(c: sa.Connection) -> Lock:
            expired = (locks.c.environment == lock.environment) & (locks.c.until < self.now())
            c.execute(locks.delete().where(expired))
            self._insert_once(c, locks, vars(lock), locks.c.environment)
            query = sa.select(locks).where(locks.c.environment == lock.environment)
            return Lock(**c.execute(query).one()._asdict())

        return self.transact(work)

    def drop_lock(self, lock: Lock) -> bool:
        """Remove a lock if it is still this very one."""
        where = (locks.c.environment == lock.environment) & (locks.c.since == lock.since)
        return self.transact(lambda c: c.execute(locks.delete().where(where)).rowcount > 0)

    def begin_release(
        self, environment: str, operation: str, commit: str, ref: str, subject: str, person: str
    ) -> Release:
        """Number a new release of an environment; the same one again for the same operation."""

        def work(c: sa.Connection) -> Release:
            mine = sa.select(releases).where(releases.c.operation == operation)
            if (row := c.execute(mine).first()) is None:
                newest = sa.select(sa.func.max(releases.c.number)).where(
                    releases.c.environment == environment
                )
                values = {
                    "environment": environment, "number": (c.execute(newest).scalar() or 0) + 1,
                    "commit": commit, "ref": ref, "subject": subject, "person": person,
                    "operation": operation, "state": "rolling", "at": self.now(),
                }  # fmt: skip
                c.execute(releases.insert().values(values))
                row = c.execute(mine).one()
            return Release(**row._asdict())

        return self.transact(work)

    def end_release(self, operation: str, state: str) -> None:
        """Say how an operation's release ended: healthy or failed."""
        where = releases.update().where(releases.c.operation == operation)
        self.transact(lambda c: c.execute(where.values(state=state)))

    def releases(self, environment: str, limit: int = 20) -> list[Release]:
        """Return an environment's releases, newest first."""
        query = (
            sa.select(releases)
            .where(releases.c.environment == environment)
            .order_by(releases.c.number.desc())
            .limit(limit)
        )
        rows = self.transact(lambda c: c.execute(query).all())
        return [Release(**row._asdict()) for row in rows]

    # -- below -----------------------------------------------------------------------------------

    def _insert_once(
        self, c: sa.Connection, table: sa.Table, row: Mapping[str, Any], answer: sa.Column[Any]
    ) -> Any:
        dialect: Any = sqlite if self.engine.dialect.name == "sqlite" else postgresql
        statement = dialect.insert(table).values(row).on_conflict_do_nothing()
        return c.execute(statement.returning(answer)).scalar()

    def _append(self, c: sa.Connection, operation: str, key: str, event: Event) -> None:
        # The row lock puts the numbers of one operation's entries in the order of their commits.
        c.execute(
            sa.select(operations.c.number).where(operations.c.id == operation).with_for_update()
        )
        kind, data = encode(event)
        row = {"operation": operation, "key": key, "at": self.now(), "kind": kind, "data": data}
        self._insert_once(c, events, row, events.c.number)

    def _move(self, c: sa.Connection, id: str, states: Iterable[str], **values: Any) -> bool:
        where = (operations.c.id == id) & operations.c.state.in_(tuple(states))
        update = operations.update().where(where).values(**values)
        return c.execute(update.returning(operations.c.id)).first() is not None

    def _operations(self, query: sa.Select[Any]) -> list[Operation]:
        return [_operation(row) for row in self.transact(lambda c: c.execute(query).all())]

    def _entries(self, where: sa.ColumnElement[bool], after: int, limit: int) -> list[Entry]:
        query = sa.select(events).where(where, events.c.number > after)
        query = query.order_by(events.c.number).limit(limit)
        rows = self.transact(lambda c: c.execute(query).all())
        return [Entry(r.number, r.operation, r.key, r.at, decode(r.kind, r.data)) for r in rows]


def connect(url: str) -> sa.Engine:
    """Open the database of a URL such as sqlite:///packlead.db or postgresql://…"""
    if not url.startswith("sqlite"):
        url = url.replace("postgres://", "postgresql://", 1)
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
        return sa.create_engine(url, pool_pre_ping=True)
    engine = sa.create_engine(url, json_serializer=json.dumps)

    @sa.event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        for pragma in ("journal_mode=wal", "busy_timeout=5000", "synchronous=full"):
            connection.execute(f"pragma {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _by_id(id: str) -> sa.Select[Any]:
    return sa.select(operations).where(operations.c.id == id)


def _operation(row: Any) -> Operation:
    values = row._asdict()
    values.pop("audience_kind")
    return Operation(**values)
