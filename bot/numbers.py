"""With which number operations go on where the database is a new one, or an older copy.

Hosts remember the highest number that was on them, and refuse what is older: that is how a worker
which was cut off does no harm. A database that was lost, or restored, begins below it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bot.database import Database
from bot.errors import Refused
from bot.schema import operations

MOST = 2**31 - 1  # of the column
TABLE = operations.name


def number_from(database: Database, first: int) -> None:
    """Give the next operation this number. Raises Refused where it, or a later one, is taken."""
    last_of, set_next = (_last_of_sqlite, _set_sqlite) if database.alone else (_last_of, _set)

    def work(c: sa.Connection) -> int:
        last = last_of(c)
        if last < first <= MOST:
            set_next(c, first)
        return last

    last = database.transact(work)
    if not last < first <= MOST:
        why = f"#{last} is taken already" if first <= last else f"numbers go up to {MOST}"
        raise Refused(why, f"packlead number-from {last + 1}")


def heed_left(data: Path, number: int) -> None:
    """Raise Refused where the data folder has runs of an operation of this number.

    Looked at while an operation has begun none: so they are of another database, and their ends
    would be told as its own.
    """
    runs = [*(data / "runs").glob("*-*"), *(data / "remote").glob("*")]
    names = (run.name.partition("-")[0] for run in runs)
    left = {int(name) for name in names if name.isdecimal()}
    if number in left:
        raise Refused(
            f"the data folder has runs of a #{number} already, of another database",
            f"packlead number-from {max(left) + 1}",
        )


def _last_of_sqlite(c: sa.Connection) -> int:
    return int(_say(c, "SELECT seq FROM sqlite_sequence WHERE name = :name").scalar() or 0)


def _set_sqlite(c: sa.Connection, first: int) -> None:
    _say(c, "DELETE FROM sqlite_sequence WHERE name = :name")
    _say(c, "INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)", last=first - 1)


def _last_of(c: sa.Connection) -> int:
    _say(c, f"LOCK TABLE {TABLE} IN SHARE ROW EXCLUSIVE MODE")  # nobody takes one meanwhile
    sequence = sa.table(
        f"{TABLE}_number_seq", sa.column("last_value", sa.Integer), sa.column("is_called")
    )
    row = c.execute(sa.select(sequence)).one()
    return int(row.last_value if row.is_called else row.last_value - 1)


def _set(c: sa.Connection, first: int) -> None:
    _say(c, "SELECT setval(:name || '_number_seq', :next, false)", next=first)


def _say(c: sa.Connection, text: str, **values: Any) -> Any:
    return c.execute(sa.text(text), {"name": TABLE, **values} if ":name" in text else values)
