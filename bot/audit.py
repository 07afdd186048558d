"""The audit: who asked for what, and every effect, said before it was done and after.

Each row holds the authentication code (HMAC-SHA256, under a key that is not in the database) of
itself and of the row before, and a head says how many there are. So an edit, a deletion, a swap and
a cut end are found. It is written in the transaction of what it tells: where it cannot be written,
nothing is done.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from bot.database import Database
from bot.errors import Failed
from bot.schema import audit, audit_head, operations

EFFECTS = frozenset(
    f"aws.{verb}"
    for verb in ("image", "launch", "terminate", "leave", "deregister", "delete_snapshot")
) | {"secrets.put", "secrets.again", "secrets.remove"}
PAGE = 1000
START = "0" * 64
LOCK = 7225534  # Postgres: one writer at a time, as SQLite has it anyway


@dataclass(frozen=True)
class Row:
    """One row of the audit. `at` is in Unix seconds, `code` over it and the one before, in hex."""

    number: int
    at: float
    kind: str  # accepted, asked, said, refused, intent, outcome, ended
    operation: str
    data: Mapping[str, Any]
    code: str

    def text(self) -> str:
        """Return it as one line of JSON."""
        return json.dumps(vars(self), sort_keys=True, ensure_ascii=False)


class Unaudited(Failed):
    """The database is there, and its audit takes no row: what was to be told is not done."""

    def __init__(self, error: SQLAlchemyError) -> None:
        cause = str(getattr(error, "orig", None) or error).splitlines()[0]
        super().__init__(
            f"the audit cannot be written: {cause}",
            "nothing is done without it: have the database mended, then say it again",
        )


class Audit:
    """The audit of one database."""

    def __init__(self, database: Database, key: bytes) -> None:
        self._db, self._key = database, key

    def add(self, c: sa.Connection, kind: str, operation: str, data: Mapping[str, Any]) -> None:
        """Write a row, within the transaction of what it tells; raises Unaudited, which ends it."""
        try:
            self._add(c, kind, operation, data)
        except OperationalError:  # the database is away: whoever has patience tries again
            raise
        except SQLAlchemyError as error:
            raise Unaudited(error) from error

    def write(self, kind: str, operation: str, data: Mapping[str, Any]) -> None:
        """Write a row of its own; raises what the database raises, and Unaudited."""
        self._db.transact(lambda c: self.add(c, kind, operation, data))

    def _add(self, c: sa.Connection, kind: str, operation: str, data: Mapping[str, Any]) -> None:
        if not self._db.alone:
            c.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
        head = c.execute(sa.select(audit_head)).first()
        number, before = (head.number + 1, head.code) if head else (1, START)
        row = Row(number, self._db.now(), kind, operation, dict(data), "")
        code = self._code(row, before)
        c.execute(audit.insert().values(vars(row) | {"code": code}))
        values = {"number": number, "code": code, "seal": self._seal(number, code)}
        if head:
            c.execute(audit_head.update().values(values))
        else:
            c.execute(audit_head.insert().values({"id": 1, **values}))

    def rows(self) -> Iterator[Row]:
        """Return all of it, oldest first."""
        last = 0
        while True:
            query = sa.select(audit).where(audit.c.number > last).order_by(audit.c.number)
            page = self._db.look(
                lambda c, query=query: c.execute(query.limit(PAGE)).all()  # type: ignore[misc]
            )
            yield from (Row(**row._asdict()) for row in page)
            if len(page) < PAGE:
                return
            last = page[-1].number

    def verify(self) -> list[str]:
        """Return what is wrong with it, nothing where it is whole."""
        wrong = []
        number, before = 0, START
        for row in self.rows():
            if row.number != number + 1:
                wrong.append(f"rows {number + 1} to {row.number - 1} are missing")
            if not hmac.compare_digest(row.code, self._code(row, before)):
                wrong.append(f"row {row.number} is not what was written, or not where it was")
            number, before = row.number, row.code
        head = self._db.look(lambda c: c.execute(sa.select(audit_head)).first())
        if head is None:
            anything = sa.select(sa.func.count()).select_from(operations)
            known = self._db.look(lambda c: c.execute(anything).scalar())
            return [*wrong, "the head is missing"] if number or known else wrong
        if not hmac.compare_digest(head.seal, self._seal(head.number, head.code)):
            wrong.append("the head is not what was written")
        if (head.number, head.code) != (number, before):
            wrong.append(f"the end is missing: the head says row {head.number}, {number} is last")
        return wrong

    def _code(self, row: Row, before: str) -> str:
        told = [before, row.number, row.at, row.kind, row.operation, row.data]
        return self._mac("row", json.dumps(told, sort_keys=True))

    def _seal(self, number: int, code: str) -> str:
        return self._mac("head", f"{number} {code}")

    def _mac(self, what: str, text: str) -> str:
        return hmac.new(self._key, f"{what}\n{text}".encode(), hashlib.sha256).hexdigest()
