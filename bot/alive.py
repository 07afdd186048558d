"""Whether a worker lives: on one machine by a file lock, on several by its beat in the database.

What a lease is. A worker says that it lives five times in each. After a third of one without having
said so it no longer trusts itself, and touches nothing until it has; a playbook that nobody touches
ends after two thirds more. So what one machine has begun is over after one lease, and a peer takes
over only after one and a half. Where the database was away, all were silent: a worker is dead only
if somebody was heard all the while. Who that was is no matter, nor how long we live ourselves: also
where each worker is killed soon after it has started, somebody takes over.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bot.database import Database
from bot.schema import workers
from bot.store import Store
from bot.words import listed

BEAT, TRUST, UNTOUCHED, TAKEN = 1 / 5, 1 / 3, 2 / 3, 3 / 2  # of a lease, as said above
UNHEARD = 2 / 3  # of a lease: after a longer silence of all, nobody was dead because of it


def worker_lives(store: Store, data: Path, lease: float) -> bool:
    """Say whether somebody works on what is accepted."""
    if store.alone:
        try:
            lock = os.open(data / "worker.lock", os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            return not _free(lock)
        finally:
            os.close(lock)
    return bool(living(store, lease))


def living(store: Store, lease: float) -> set[str]:
    """Return the workers of several machines whose beat is not too late."""
    fresh = sa.select(workers.c.id).where(workers.c.beat > clock(store) - TAKEN * lease)
    return {row.id for row in store.look(lambda c: c.execute(fresh).all())}


def beat(c: sa.Connection, store: Store, me: str, lease: float) -> None:
    """Say that we live."""
    now, mine = clock(store), workers.c.id == me
    in_time = sa.and_(workers.c.since.is_not(None), now - workers.c.beat < UNHEARD * lease)
    since = sa.case((in_time, workers.c.since), else_=now)
    if not c.execute(workers.update().where(mine).values(beat=now, since=since)).rowcount:
        c.execute(workers.insert().values(id=me, beat=now, since=now))


def dead(c: sa.Connection, store: Store, lease: float) -> list[str]:
    """Return the workers that were silent for too long, while others were heard."""
    rows = c.execute(sa.select(workers, sa.type_coerce(clock(store), sa.Float).label("now"))).all()
    late = [row.id for row in rows if row.beat < row.now - TAKEN * lease]
    spans = [(row.since, row.beat) for row in rows if row.since is not None]
    if late and heard(spans, rows[0].now - TAKEN * lease, rows[0].now, UNHEARD * lease):
        return late
    return []


def forget(c: sa.Connection, store: Store, worker: str, lease: float) -> None:
    """Take a worker that is still silent off the list."""
    silent = workers.c.beat < clock(store) - TAKEN * lease
    c.execute(workers.delete().where(workers.c.id == worker, silent))


def heard(spans: Iterable[tuple[float, float]], begin: float, end: float, gap: float) -> bool:
    """Say whether these spans of seconds, put together, leave no longer gap from begin to end."""
    reach = begin
    for since, beat in sorted(spans):
        if since - reach > gap:
            return False
        reach = max(reach, beat)
    return end - reach <= gap


def told(store: Store, data: Path, lease: float) -> str:
    """Say in a sentence who lives, and who was silent for how long."""
    if store.alone:
        return f"{'one' if worker_lives(store, data, lease) else 'none'} lives"
    ages = sa.select(workers.c.id, (clock(store) - workers.c.beat).label("age"))
    rows = store.look(lambda c: c.execute(ages.order_by(workers.c.id)).all())
    well = [row.id for row in rows if row.age < TAKEN * lease]
    late = [f"{row.id} is silent for {row.age:.0f} s" for row in rows if row.id not in well]
    verb = "lives" if len(well) < 2 else "live"
    return "; ".join([f"{listed(well, 6) or 'none'} {verb}", *late])


def clock(database: Database) -> Any:
    """Return the time by one clock for all machines, to be used within a statement."""
    if database.alone:
        return sa.literal(database.now())
    return sa.cast(sa.func.extract("epoch", sa.func.clock_timestamp()), sa.Float)


def home(worker: str) -> str:
    """Return the data folder of a worker, by the name that the folder gave it."""
    return worker.rpartition(".")[0]


class Badges:
    """The workers of one data folder, each known by a file that it locks as long as it lives."""

    def __init__(self, data: Path) -> None:
        self._folder = data / "workers"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._mine = -1
        self.me = f"{os.uname().nodename}-{self._name()}.{os.getpid()}-{secrets.token_hex(4)}"

    def wear(self) -> None:
        """Take ours: locked from the moment on at which others can see it."""
        temporary = self._folder / f".{self.me}"
        self._mine = os.open(temporary, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._mine, fcntl.LOCK_EX)
        temporary.rename(self._folder / self.me)

    def put_down(self) -> None:
        os.close(self._mine)

    def dropped(self) -> list[str]:
        """Return the workers of this folder that have ended, however that came."""
        found = []
        for file in self._folder.glob("[!.]*"):
            if file.name in (self.me, "name"):
                continue
            try:
                lock = os.open(file, os.O_RDWR)
            except FileNotFoundError:
                continue  # another one of this folder was faster
            if _free(lock):
                found.append(file.name)
            os.close(lock)
        return found

    def forget(self, worker: str) -> None:
        (self._folder / worker).unlink(missing_ok=True)

    def _name(self) -> str:
        file, name = self._folder / "name", secrets.token_hex(4)
        temporary = file.with_name(f".name.{name}")
        temporary.write_text(name)
        try:
            os.link(temporary, file)  # of two that try the first one's stays
        except FileExistsError:
            pass
        temporary.unlink()
        return file.read_text()


def _free(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
