"""An address range of loopback for one lab: 127.X.Y.0/24, held by a lock until the lab ends.

The lock's file says which folder the lab has, so that the next lab clears up after a killed one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import shutil
import tempfile
from pathlib import Path
from typing import IO

FIRST, LAST = 64, 126  # of X; the lower ones are for whatever else runs here
FOLDER = "packlead-lab-"  # how a lab's own temporary folder begins


class Range:
    """One claimed range; the kernel lets go of the lock when the lab is killed."""

    def __init__(self, lock: IO[str]) -> None:
        self.prefix = Path(lock.name).name
        self._lock = lock

    @property
    def subnet(self) -> str:
        return f"{self.prefix}.0/24"

    @property
    def services(self) -> str:
        """The address of everything that is no host."""
        return f"{self.prefix}.1"

    def note(self, folder: Path) -> None:
        """Let the next lab remove this temporary folder, should this one be killed."""
        self._lock.write(str(folder))
        self._lock.flush()

    def free(self) -> None:
        os.unlink(self._lock.name)
        self._lock.close()


def claim() -> Range:
    """Claim a range that no other lab on this machine has."""
    folder = Path(tempfile.gettempdir()) / "packlead-lab"
    if not folder.exists():
        folder.mkdir(exist_ok=True)
        folder.chmod(0o1777)  # the labs of other people are here too
    for left in folder.glob("127.*"):
        if lock := _lock(left):
            _clear_up(lock)
    places = [f"127.{x}.{y}" for x in range(FIRST, LAST + 1) for y in range(256)]
    for place in random.sample(places, 200):
        if lock := _lock(folder / place):
            return Range(lock)
    raise RuntimeError(f"200 address ranges were tried, and all are taken: see {folder}")


def _lock(path: Path) -> IO[str] | None:
    """Lock a file; None where somebody has it, or has just removed it."""
    try:
        lock = path.open("a+")
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock.fileno()).st_ino == path.stat().st_ino:
            return lock
    except OSError:
        pass
    lock.close()
    return None


def _clear_up(lock: IO[str]) -> None:
    lock.seek(0)
    folder = Path(lock.read() or "/")
    if folder.name.startswith(FOLDER):
        shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        os.unlink(lock.name)
    lock.close()
