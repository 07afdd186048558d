"""The database itself: SQLite (WAL) or Postgres by URL, one transaction a verb."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection

from bot import schema

T = TypeVar("T")

SILENT = {  # seconds, the last in milliseconds
    "connect_timeout": 5, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 2,
    "tcp_user_timeout": 10_000,
}  # fmt: skip
# Seconds for which a server may leave a statement without a word. With `connect_timeout` behind it
# less than what makes peers take a worker for dead: it finds the next server before.
SILENCE = 10.0
DEMOTED = "25006"  # says who was the first server, and takes no writes any more
WAIT = 5.0  # seconds for another writer of a SQLite file
AFTER = "packlead_after"  # in a connection's `info`: what is done once its transaction is committed
FULL = "database or disk is full"


class Database:
    """Thread-safe; opens the database and brings its schema up to date.

    With `patience`, in seconds, every transaction is tried again until the database is back.
    `wait` is how long it waits for another writer of a SQLite file, `silence` for a word of
    Postgres.
    """

    def __init__(
        self,
        url: str,
        patience: float = 0.0,
        clock: Callable[[], float] = time.time,
        wait: float = WAIT,
        silence: float = SILENCE,
    ) -> None:
        self.url, self.patience, self.now, self.silence = url, patience, clock, silence
        self.engine = connect(url, wait, silence)
        self._reading = self.engine.execution_options(packlead_reads=True)
        self.alone = url.startswith("sqlite")  # one machine, and one writer at a time
        self._inserts: dict[tuple[str, ...], Any] = {}
        schema.upgrade(self.engine, self._reading)

    def close(self) -> None:
        self.engine.dispose()

    def transact(self, work: Callable[[sa.Connection], T]) -> T:
        """Run one transaction; while patience lasts, again when the database is away."""
        return self._run(work, self.engine)

    def look(self, work: Callable[[sa.Connection], T]) -> T:
        """Run one that only reads, in the same way: it waits for nobody who writes."""
        return self._run(work, self._reading)

    def _run(self, work: Callable[[sa.Connection], T], engine: sa.Engine) -> T:
        give_up = time.monotonic() + self.patience
        while True:
            try:
                with engine.begin() as connection:
                    connection.info.pop(AFTER, None)  # of one that was rolled back
                    answer = work(connection)
                    after = connection.info.pop(AFTER, None)
                if after:
                    after()
                return answer
            except (OperationalError, NoConnection):
                if time.monotonic() >= give_up:
                    raise
                time.sleep(0.2)

    def insert_once(
        self, c: sa.Connection, table: sa.Table, row: Mapping[str, Any], answer: sa.Column[Any]
    ) -> Any:
        """Insert a row; returns nothing where its key is taken already."""
        if (table.name, *row) not in self._inserts:  # building it costs more than running it
            dialect: Any = sqlite if self.engine.dialect.name == "sqlite" else postgresql
            statement = dialect.insert(table).on_conflict_do_nothing().returning(answer)
            self._inserts[table.name, *row] = statement
        return c.execute(self._inserts[table.name, *row], dict(row)).scalar()


def heard(url: str, silence: float = SILENCE) -> dict[str, Any]:
    """Return how connections to Postgres are made: without statements that stay there, which a
    pgbouncer would mix up; and when one is given up whose server says nothing any more.

    The latter in libpq's words; what the URL says stands. All are below a worker's lease: the
    kernel's own are a quarter of an hour and more, in which nobody would beat.
    """
    told = sa.make_url(url).query
    silent = {name: number for name, number in SILENT.items() if name not in told}
    return {"prepare_threshold": None, "silence": silence, **silent}


def connect(url: str, wait: float = WAIT, silence: float = SILENCE) -> sa.Engine:
    """Open the database of a URL such as sqlite:///packlead.db or postgresql://…"""
    if not url.startswith("sqlite"):
        url = url.replace("postgres://", "postgresql://", 1)
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
        return sa.create_engine(url, pool_pre_ping=True, connect_args=heard(url, silence))
    engine = sa.create_engine(url, json_serializer=json.dumps)

    @sa.event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        for pragma in (
            "journal_mode=wal",
            f"busy_timeout={round(wait * 1000)}",
            "synchronous=full",
        ):
            connection.execute(f"pragma {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        reads = connection.get_execution_options().get("packlead_reads")
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


@sa.event.listens_for(sa.Engine, "do_connect")
def _impatient(_dialect: Any, _record: Any, words: Any, more: Any) -> Any:
    """Make the connections of whoever was given `heard`, which are ours and DBOS's."""
    if "silence" not in more:
        return None
    from bot.impatient import Connection  # where the database is a file nobody loads psycopg

    silence = more.pop("silence")
    connection = Connection.connect(*words, **more)
    connection.silence = silence
    return connection


@sa.event.listens_for(sa.Engine, "handle_error")
def _demoted(context: sa.engine.ExceptionContext) -> sa.exc.OperationalError | None:
    """Take a server that was demoted for one that is away: the next connection may find the new."""
    orig = context.original_exception
    if getattr(orig, "sqlstate", "") != DEMOTED:
        return None
    context.is_disconnect = True
    return OperationalError(context.statement, None, orig, connection_invalidated=True)


@sa.event.listens_for(sa.Engine, "handle_error")
def _full(context: sa.engine.ExceptionContext) -> sa.exc.OperationalError | None:
    """Tell of a full disk as of a locked database: both pass, and DBOS waits for the latter only.

    Without this a step that ended while the disk was full would count as a bug of its command.
    """
    told = str(context.original_exception)
    if context.dialect.name != "sqlite" or not any(word in told for word in (FULL, "disk I/O")):
        return None
    orig = sqlite3.OperationalError(f"database is locked: {FULL} ({told})")
    return OperationalError(context.statement, None, orig)
