"""The audit: who asked for what, and every effect, said before it was done and after.

Each row holds the authentication code (HMAC-SHA256, under a key that is not in the database) of
itself and of the row before, and a head says how many there are. So an edit, a deletion, a swap and
a cut end are found; that all of it was put back to an older state is found by what the machine that
wrote it has kept (`Witness`). It is written in the transaction of what it tells: where it cannot be
written, nothing is done.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from bot.database import AFTER, Database
from bot.errors import Failed
from bot.schema import audit, audit_head, operations
from bot.witness import Seen, Witness

log = logging.getLogger(__name__)
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

    def __init__(self, database: Database, key: bytes, witness: Witness | None = None) -> None:
        self._db, self._key, self.witness = database, key, witness or Witness()
        self._whole = True

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
        self._show(c, Seen(number, code), Seen(number - 1, before))
        values = {"number": number, "code": code, "seal": self._seal(number, code)}
        if head:
            c.execute(audit_head.update().values(values))
        else:
            c.execute(audit_head.insert().values({"id": 1, **values}))

    def _show(self, c: sa.Connection, row: Seen, before: Seen) -> None:
        """Have the witness keep a row once it is committed, unless what it keeps is gone."""
        seen = self.witness.seen()
        if seen in (None, before) or seen.code == self._code_of(c, seen.number):
            c.info[AFTER] = partial(self.witness.see, row)
        elif self._whole:
            self._whole = False  # said once, and not with every row
            log.warning("row %d of the audit is gone: packlead audit verify", seen.number)

    def _code_of(self, c: sa.Connection, number: int) -> str | None:
        return c.execute(sa.select(audit.c.code).where(audit.c.number == number)).scalar()

    def rows(self, last: int = 0) -> Iterator[Row]:
        """Return what comes after row `last`, oldest first."""
        while True:
            query = sa.select(audit).where(audit.c.number > last).order_by(audit.c.number)
            page = self._db.look(
                lambda c, query=query: c.execute(query.limit(PAGE)).all()  # type: ignore[misc]
            )
            yield from (Row(**row._asdict()) for row in page)
            if len(page) < PAGE:
                return
            last = page[-1].number

    def verify(self, last: int = 0) -> list[str]:
        """Return what is wrong with what comes after row `last`, nothing where it is whole."""
        wrong = []
        seen = self.witness.seen()
        shown = self._db.look(lambda c: self._code_of(c, seen.number)) if seen else None
        before = self._db.look(lambda c: self._code_of(c, last)) if last else START
        if before is None:
            return [f"row {last} is missing"]
        number = last
        head: Any = None
        while True:
            for row in self.rows(number):
                if row.number != number + 1:
                    wrong.append(f"rows {number + 1} to {row.number - 1} are missing")
                if not hmac.compare_digest(row.code, self._code(row, before)):
                    wrong.append(f"row {row.number} is not what was written, or not where it was")
                number, before = row.number, row.code
            then, head = head, self._db.look(lambda c: c.execute(sa.select(audit_head)).first())
            if head is None or head.number <= number or head == then:
                break  # else somebody has written on meanwhile
        if seen and seen.code != shown:
            wrong.append(
                f"row {seen.number}, which this machine has written, is missing or another one:"
                f" the end was cut, or an older copy put back (if you did: rm {self.witness.file})"
            )
        if head is None:
            anything = sa.select(sa.func.count()).select_from(operations)
            known = self._db.look(lambda c: c.execute(anything).scalar())
            return [*wrong, "the head is missing"] if number or known else wrong
        # Where nothing was written after `last`, the seal may be that of the key before.
        if number > last and not hmac.compare_digest(head.seal, self._seal(head.number, head.code)):
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
