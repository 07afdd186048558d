"""Whose turn it is: which worker works on an operation, and which of its playbooks hosts listen to.

Two numbers that only grow. Each worker that takes an operation up is its next *holder*; whoever was
one before ends nothing and begins no playbook any more. Each playbook that is begun gets the next
*turn*, and the hosts refuse the steps of an older one, since they compare (operation, turn).
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from bot.database import Database
from bot.schema import operations, turns


@dataclass(frozen=True)
class Played:
    """The playbook (or program) that was begun last for an operation."""

    place: str = ""  # which of the operation's plays it is; empty: none was begun yet
    turn: int = 0
    by: str = ""  # the worker that began it


class Turns:
    """The holders and turns of one database."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def played(self, operation: str) -> Played:
        query = sa.select(turns).where(turns.c.operation == operation)
        row = self._db.look(lambda c: c.execute(query).first())
        return Played(row.place, row.played, row.by) if row else Played()

    def take_up(self, c: sa.Connection, operation: str) -> int:
        """Return the number of the next holder of an operation, within a transaction."""
        mine = turns.update().where(turns.c.operation == operation)
        more = mine.values(holder=turns.c.holder + 1).returning(turns.c.holder)
        if (found := c.execute(more).scalar()) is not None:
            return int(found)
        row = {"operation": operation, "holder": 1, "turn": 0, "place": "", "played": 0, "by": ""}
        c.execute(turns.insert().values(row))
        return 1

    def holds(self, c: sa.Connection, operation: str, holder: int) -> bool:
        """Say whether that is still the holder, who stays it for the rest of a transaction."""
        mine = operations.c.id == operation
        c.execute(sa.select(operations.c.id).where(mine).with_for_update())
        query = sa.select(turns.c.holder).where(turns.c.operation == operation)
        return bool(c.execute(query).scalar() == holder)

    def play(
        self, operation: str, holder: int, place: str, by: str, whole: str = "", ahead: int = 1
    ) -> int:
        """Return the turn of a playbook that a holder is about to begin; 0 where it is none.

        The parts of a roll share the turns of the `whole`, in whose name the hosts are asked.
        """
        mine, all_of = turns.c.operation == operation, turns.c.operation == (whole or operation)

        def work(c: sa.Connection) -> int:
            if not self.holds(c, operation, holder):
                return 0
            more = turns.update().where(all_of).values(turn=turns.c.turn + ahead)
            turn = int(c.execute(more.returning(turns.c.turn)).scalar_one())
            c.execute(turns.update().where(mine).values(place=place, played=turn, by=by))
            return turn

        return self._db.transact(work)
