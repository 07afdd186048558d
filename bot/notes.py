"""Where each audience stands in each log, and which deliveries were seen already."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from bot.database import Database
from bot.operations import Operation, read_operation
from bot.schema import notes, operations, seen

DAY = 86400.0


class Notes(Database):
    """What fronts and audiences remember."""

    def note(self, audience: str, operation: str) -> dict[str, Any]:
        """Return where an audience stands in an operation's log."""
        query = sa.select(notes.c.data).where(
            notes.c.audience == audience, notes.c.operation == operation
        )
        return dict(self.look(lambda c: c.execute(query).scalar()) or {})

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

    def first_note(self, audience: str, operation: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """Keep a note unless there is one already; return the one that is there then."""
        row = {"audience": audience, "operation": operation, "data": dict(data), "finished": False}
        if known := self.note(audience, operation):
            return known
        with contextlib.suppress(IntegrityError):  # somebody else was first
            self.transact(lambda c: c.execute(notes.insert().values(row)))
        return self.note(audience, operation)

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
        query = query.order_by(operations.c.number)
        rows = self.look(lambda c: c.execute(query).all())
        return [read_operation(row) for row in rows]

    def untold(self, audience: str, commands: Sequence[str], since: float) -> list[Operation]:
        """Return what changes an environment by these commands and an audience has yet to tell.

        What was over before `since` is no news any more.
        """
        joined = operations.outerjoin(
            notes, (notes.c.operation == operations.c.id) & (notes.c.audience == audience)
        )
        query = (
            sa.select(operations)
            .select_from(joined)
            .where(
                operations.c.command.in_(commands),
                operations.c.exclusive,
                sa.or_(notes.c.finished.is_(None), ~notes.c.finished),
                sa.or_(operations.c.finished.is_(None), operations.c.finished > since),
            )
            .order_by(operations.c.number)
        )
        return [read_operation(row) for row in self.look(lambda c: c.execute(query).all())]

    def once(self, key: str, seconds: float | None = None) -> bool:
        """Return True the first time a key is seen; it is kept a day, or as long as told."""

        def work(c: sa.Connection) -> bool:
            now = self.now()
            c.execute(seen.delete().where(seen.c.until < now))
            row = {"key": key, "until": now + (seconds or DAY)}
            return self.insert_once(c, seen, row, seen.c.key) is not None

        return self.transact(work)
