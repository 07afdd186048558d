"""A connection to Postgres whose patience with a silent server ends."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg
from psycopg.pq import TransactionStatus

T = TypeVar("T")


class Connection(psycopg.Connection[Any]):
    """One to Postgres that is given up where a statement is not answered for `silence` seconds.

    Where a server hangs or is stopped its kernel goes on to answer for it: none of SILENT sees it.
    """

    silence: float

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **more: Any) -> T:
        return super().wait(self._heard(gen), *args, **more)

    def _heard(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        """Pass on what psycopg says: ten times a second, and nothing where there was no word."""
        last, ready = time.monotonic(), None
        try:
            while True:
                ready = yield gen.send(ready)
                # Who only listens for notifications may hear none for hours.
                if ready or self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                    last = time.monotonic()
                elif time.monotonic() - last > self.silence:
                    self.close()
                    told = f"the database has said nothing for {self.silence:g} s"
                    raise psycopg.OperationalError(told)
        except StopIteration as end:
            answer: T = end.value
            return answer
