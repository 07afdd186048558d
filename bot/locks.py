"""Locks that people hold: one an environment, with who, since when, what for and until when."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from bot.database import Database
from bot.schema import locks


@dataclass(frozen=True)
class Lock:
    """A person keeps an environment for themselves; `until` is None where it has no end."""

    environment: str
    person: str
    reason: str
    since: float
    until: float | None = None


class Locks:
    """The locks in force."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def of(self, environment: str) -> Lock | None:
        """Return the person's lock on an environment, unless it has expired."""
        row = self._db.look(
            lambda c: c.execute(sa.select(locks).where(locks.c.environment == environment)).first()
        )
        if row is None or (row.until is not None and row.until < self._db.now()):
            return None
        return Lock(**row._asdict())

    def take(self, lock: Lock) -> Lock:
        """Insert a lock, or return the one that is in force; compare to see whose it is."""

        def work(c: sa.Connection) -> Lock:
            expired = (locks.c.environment == lock.environment) & (locks.c.until < self._db.now())
            c.execute(locks.delete().where(expired))
            self._db.insert_once(c, locks, vars(lock), locks.c.environment)
            query = sa.select(locks).where(locks.c.environment == lock.environment)
            return Lock(**c.execute(query).one()._asdict())

        return self._db.transact(work)

    def all(self) -> list[Lock]:
        """Return the locks in force, by environment."""
        rows = self._db.look(lambda c: c.execute(sa.select(locks)).all())
        found = [Lock(**row._asdict()) for row in rows]
        now = self._db.now()
        return sorted(
            (x for x in found if x.until is None or x.until >= now), key=lambda x: x.environment
        )

    def drop(self, lock: Lock) -> bool:
        """Remove a lock if it is still this very one."""
        where = (locks.c.environment == lock.environment) & (locks.c.since == lock.since)
        return self._db.transact(lambda c: c.execute(locks.delete().where(where)).rowcount > 0)
