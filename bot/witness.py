"""What this machine has written last to the audit, kept outside of the database.

An older state of a whole database is sound in itself: from within nobody sees what came after it.
It holds a row's number and its code, nothing secret. It moves on only while the database still has
the row before, so that what is written after a cut does not hide the cut.
"""

from __future__ import annotations

import logging
import os
import threading
import zlib
from pathlib import Path
from typing import NamedTuple

log = logging.getLogger(__name__)
FILE = "audit-seen"
EACH = 100  # rows of which one is told in the log, for who keeps that elsewhere


class Seen(NamedTuple):
    """A row of the audit."""

    number: int
    code: str


class Witness:
    """The one of a data folder; without a folder it sees nothing."""

    def __init__(self, data: Path | None = None) -> None:
        self.file = data / FILE if data else None
        self._mine, self._well = threading.Lock(), True

    def seen(self) -> Seen | None:
        """Return the newest row that this machine has written; None where it knows of none."""
        for _ in range(3 if self.file else 0):
            try:
                number, code, check = self.file.read_text().split()  # type: ignore[union-attr]
                if check == _check(row := Seen(int(number), code)):
                    return row
            except (OSError, ValueError):
                pass  # not there; or somebody was writing it, and it is whole in a moment
        return None

    def see(self, row: Seen) -> None:
        """Keep a row that was committed. Raises nothing: what it tells of is done already."""
        if self.file is None:
            return
        if row.number % EACH == 0:
            log.info("row %d of the audit has the code %s", *row)
        try:
            with self._mine:
                if not (last := self.seen()) or last.number < row.number:
                    self._write(self.file, f"{row.number:10} {row.code} {_check(row)}\n")
            self._well = True
        except OSError as error:
            if self._well:  # said once, and not with every row
                log.warning("writing %s: %s", self.file, error.strerror)
            self._well = False

    @staticmethod
    def _write(file: Path, text: str) -> None:
        """In place, since a new file that takes its place costs what a commit does."""
        place = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(place, text.encode(), 0)
        finally:
            os.close(place)


def _check(row: Seen) -> str:
    return f"{zlib.crc32(repr(row).encode()):08x}"
