"""The database itself: SQLite (WAL) or Postgres by URL, one transaction a verb."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError

from bot import schema

T = TypeVar("T")


class Database:
    """Thread-safe; opens the database and brings its schema up to date.

    With `patience`, in seconds, every transaction is tried again until the database is back.
    """

    def __init__(
        self, url: str, patience: float = 0.0, clock: Callable[[], float] = time.time
    ) -> None:
        self.url, self.patience, self.now = url, patience, clock
        self.engine = connect(url)
        self.alone = url.startswith("sqlite")  # one machine, and one writer at a time
        self._inserts: dict[tuple[str, ...], Any] = {}
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

    def insert_once(
        self, c: sa.Connection, table: sa.Table, row: Mapping[str, Any], answer: sa.Column[Any]
    ) -> Any:
        """Insert a row; returns nothing where its key is taken already."""
        if (table.name, *row) not in self._inserts:  # building it costs more than running it
            dialect: Any = sqlite if self.engine.dialect.name == "sqlite" else postgresql
            statement = dialect.insert(table).on_conflict_do_nothing().returning(answer)
            self._inserts[table.name, *row] = statement
        return c.execute(self._inserts[table.name, *row], dict(row)).scalar()


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
