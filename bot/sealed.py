"""Values on their way from who typed them to the worker: in the database, and never in clear.

A value is sealed before it is written, beside the operation that brings it and in one transaction
with it. It goes when it has come to its store, when its operation ends, and when it is too old.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import sqlalchemy as sa

from bot.database import Database
from bot.errors import Failed, Misconfigured, Misunderstood
from bot.key import MAKE, VARIABLE, derived
from bot.schema import sealed

if TYPE_CHECKING:  # imported where it is needed: few requests bring a value
    from cryptography.fernet import Fernet

LONGEST = 8192  # bytes of a value: the most that Parameter Store takes
SECONDS = 2 * 86400.0  # that a value waits for its operation at most


class Sealed:
    """The sealed values that wait for their operations; `key` is the key of the house."""

    def __init__(self, database: Database, key: bytes) -> None:
        self._db, self._key = database, key

    def put(self, c: sa.Connection, operation: str, value: str) -> None:
        """Keep a value for an operation, within the transaction that records it."""
        data = self._box().encrypt(value.encode()).decode()
        row = {"operation": operation, "data": data, "until": self._db.now() + SECONDS}
        c.execute(sealed.insert().values(row))

    def move(self, c: sa.Connection, old: str, new: str) -> None:
        """Give a value to the operation that goes on in the place of one that was approved."""
        c.execute(sealed.update().where(sealed.c.operation == old).values(operation=new))

    def drop(self, c: sa.Connection, operation: str) -> None:
        c.execute(sealed.delete().where(sealed.c.operation == operation))

    def open(self, operation: str) -> str | None:
        """Return an operation's value; None where it has none, or none any more."""
        from cryptography.fernet import InvalidToken

        query = sa.select(sealed.c.data).where(sealed.c.operation == operation)
        data = self._db.look(lambda c: c.execute(query).scalar())
        if data is None:
            return None
        try:
            return str(self._box().decrypt(str(data).encode()).decode())
        except InvalidToken:
            raise Failed(
                "opening the sealed value: it was sealed with another key",
                f"every part of Packlead needs the same {VARIABLE}; say it again",
            ) from None

    def forget(self, operation: str) -> None:
        """Delete an operation's value: it has come to where it belongs."""
        self._db.transact(lambda c: self.drop(c, operation))

    def expire(self) -> None:
        """Delete what is too old."""
        old = sealed.delete().where(sealed.c.until < self._db.now())
        self._db.transact(lambda c: c.execute(old))

    def _box(self) -> Fernet:
        from cryptography.fernet import Fernet

        if not self._key:
            raise Misconfigured(
                f"there is no key to seal values with: set {VARIABLE}", f"make one with: {MAKE}"
            )
        return Fernet(base64.urlsafe_b64encode(derived(self._key, "sealed values")))


def fit(value: str) -> str:
    """Return a value as it can be kept everywhere; raises Misunderstood, never repeating it.

    What every reader of an environment file takes as it is holds no control characters: systemd
    drops a variable that has one, but for tabs and newlines.
    """
    if not value:
        raise Misunderstood("the value is empty", "config ENV KEY --unset takes a key away")
    if any((ord(c) < 32 and c not in "\t\n") or 127 <= ord(c) < 160 for c in value):
        raise Misunderstood(
            "the value holds control characters, which no environment file can carry",
            "paste it as plain text; a file with Windows line ends needs dos2unix first",
        )
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise Misunderstood("the value is no valid text", "it must be UTF-8") from None
    if size > LONGEST:
        raise Misunderstood(f"the value has {size} bytes; {LONGEST} are the most")
    return value
