"""Releases: the numbered deployments of each environment."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from bot.database import Database
from bot.schema import releases


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
    state: str  # rolling, healthy, failed; rolled back: healthy once, and given up since
    at: float


class Releases:
    """What was deployed."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def begin(
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
                    "operation": operation, "state": "rolling", "at": self._db.now(),
                }  # fmt: skip
                c.execute(releases.insert().values(values))
                row = c.execute(mine).one()
            return Release(**row._asdict())

        return self._db.transact(work)

    def end(self, operation: str, state: str) -> None:
        """Say how an operation's release ended: healthy or failed."""
        where = releases.update().where(releases.c.operation == operation)
        self._db.transact(lambda c: c.execute(where.values(state=state)))

    def give_way(self, environment: str, after: int, before: int) -> None:
        """Say of the healthy releases between two that somebody rolled back from them.

        They are no more what "the last healthy one" means: a second rollback goes further back, and
        never to what the first one went away from.
        """
        where = (releases.c.environment == environment) & (releases.c.state == "healthy")
        between = (releases.c.number > after) & (releases.c.number < before)
        update = releases.update().where(where, between).values(state="rolled back")
        self._db.transact(lambda c: c.execute(update))

    def get(self, environment: str, number: int) -> Release | None:
        where = (releases.c.environment == environment) & (releases.c.number == number)
        row = self._db.look(lambda c: c.execute(sa.select(releases).where(where)).first())
        return Release(**row._asdict()) if row else None

    def newest(self, environment: str, limit: int = 20) -> list[Release]:
        """Return an environment's releases, newest first."""
        query = (
            sa.select(releases)
            .where(releases.c.environment == environment)
            .order_by(releases.c.number.desc())
            .limit(limit)
        )
        rows = self._db.look(lambda c: c.execute(query).all())
        return [Release(**row._asdict()) for row in rows]
