"""Postgres: a private server for tests, on a loopback address of its own, that ends with them.

    with Postgres() as server:
        url = server.database()     # a fresh one; the server may be stopped and started meanwhile

It is fast and forgets on a power cut: nothing is synced. As root it runs as the user postgres, or
nobody, since it refuses root.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from bot.database import connect
from tests.lab import address, machine
from tests.lab.leashed import Leashed
from tests.waiting import PATIENCE

PORT = 5432
MISSING = "no Postgres here: apt-get install postgresql"
QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=32MB",
         "max_connections=200", "autovacuum=off")  # fmt: skip


def missing() -> str:
    """Say why there can be no server; nothing where there can."""
    return "" if machine.look().postgres else MISSING


class Postgres:
    """One server, of the newest version that this machine has."""

    def __init__(self) -> None:
        self._programs = Path(machine.look().postgres)
        self._password = secrets.token_urlsafe(24)
        self._leash: Leashed | None = None

    def __enter__(self) -> Self:
        if why := missing():
            raise RuntimeError(why)
        self._range = address.claim()
        self.folder = Path(tempfile.mkdtemp(prefix=address.FOLDER))
        self._range.note(self.folder)
        try:
            self._make()
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._leash and self._leash.alive:
            with contextlib.suppress(OSError):  # it may not have come up
                self.end()
            self._leash.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._range.free()

    @property
    def url(self) -> str:
        """The server; a database's name comes behind it."""
        return f"postgresql://tests:{self._password}@{self._range.services}:{PORT}"

    def database(self) -> str:
        """Make a database, and return its URL."""
        name = f"packlead_{uuid.uuid4().hex}"
        make(self.url, name)
        return f"{self.url}/{name}"

    def start(self, seconds: float = PATIENCE) -> None:
        settings = (*QUICK, f"listen_addresses={self._range.services}", f"port={PORT}")
        words = [self._programs / "postgres", "-D", self.folder / "data", "-k", ""]
        for setting in settings:
            words += ["-c", setting]
        log = self.folder / "log"
        self._leash = Leashed([*_unprivileged(), *words], log=log)
        end = time.monotonic() + seconds
        while not self._answers():
            if not self._leash.alive or time.monotonic() > end:
                raise RuntimeError(f"starting Postgres: {log.read_text()[-2000:]}")
            time.sleep(0.05)

    def end(self) -> None:
        """End it at once, as `pg_ctl stop -m immediate` does: whoever is connected is cut off."""
        assert self._leash
        os.kill(self._pid, signal.SIGQUIT)
        end = time.monotonic() + 10
        while self._leash.alive and time.monotonic() < end:
            time.sleep(0.02)
        self._leash.stop()

    def restart(self, away: float = 0) -> None:
        """Restart it as `pg_ctl restart -m immediate` does, after so many seconds."""
        self.end()
        time.sleep(away)
        self.start()

    @contextlib.contextmanager
    def hangs(self, new: bool = True) -> Iterator[None]:
        """Nothing is answered, and the kernel says that all is well; `new` connections neither."""
        stopped = [*([self._pid] if new else []), *_children(self._pid)]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in stopped:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    @property
    def _pid(self) -> int:
        return int((self.folder / "data" / "postmaster.pid").read_text().split()[0])

    def _make(self) -> None:
        password = self.folder / "password"
        password.write_text(self._password)
        if os.geteuid() == 0:
            for path in (self.folder, password):
                shutil.chown(path, _user())
        words = [
            *_unprivileged(), self._programs / "initdb", "-D", self.folder / "data", "-N",
            "-U", "tests", "-A", "scram-sha-256", "-E", "UTF8", "--no-locale",
            f"--pwfile={password}",
        ]  # fmt: skip
        done = subprocess.run(words, capture_output=True, text=True, cwd=self.folder)
        if done.returncode:
            raise RuntimeError(f"initdb: {done.stdout[-1000:]}{done.stderr[-1000:]}")
        password.unlink()

    def _answers(self) -> bool:
        with contextlib.suppress(sa.exc.OperationalError):
            engine = connect(f"{self.url}/postgres")
            with engine.connect():
                pass
            engine.dispose()
            return True
        return False


def make(server: str, name: str) -> None:
    """Make a database on a server."""
    _admin(server, f"create database {name}")


def drop(server: str, name: str) -> None:
    """Drop one, whoever is still connected."""
    _admin(server, f"drop database {name} with (force)")


def _admin(server: str, statement: str) -> None:
    engine = connect(f"{server}/postgres").execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


def _children(pid: int) -> list[int]:
    told = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in told.split()]


def _unprivileged() -> Sequence[str]:
    if os.geteuid():
        return ()
    user = _user()
    return ("setpriv", f"--reuid={user}", f"--regid={pwd.getpwnam(user).pw_gid}", "--clear-groups")


def _user() -> str:
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("postgres").pw_name
    return "nobody"
