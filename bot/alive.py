"""Whether a worker lives on this database: the file lock of one machine, or the beat of several."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import sqlalchemy as sa

from bot.schema import workers
from bot.store import Store

LEASE = 15.0  # seconds after which a worker that has not said so is no longer thought alive


def worker_lives(store: Store, data: Path) -> bool:
    """Say whether somebody works on what is accepted."""
    if store.alone:
        try:
            lock = os.open(data / "worker.lock", os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False
    fresh = sa.select(workers.c.id).where(workers.c.beat > store.now() - 1.5 * LEASE)
    return store.transact(lambda c: c.execute(fresh).first()) is not None
