"""Bots and workers that are forked from a process which has loaded all of Packlead.

To load it takes more than a second of a processor. Where one dies every few seconds on two cores,
that would be most of what is done there; machines of their own have the time.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from typing import BinaryIO

from bot.__main__ import main
from tests.e2e import process
from tests.e2e.process import ROOT

FORKED = ("up", "web", "worker")
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([
    __name__, "alembic.command", "bot.adapters.ansible", "bot.adapters.aws.fleet",
    "bot.adapters.aws.secrets", "bot.adapters.remote", "bot.engine", "boto3", "commands",
    "bot.fronts.serving", "bot.fronts.slack", "psycopg", "sqlalchemy.dialects.postgresql",
    "sqlalchemy.dialects.sqlite",
])  # fmt: skip


def begin(part: str, env: dict[str, str], log: BinaryIO) -> process.Process:
    """Start a bot or a worker so; any other part is started as everywhere."""
    return Forked(part, env, log.name) if part in FORKED else process.begin(part, env, log)


class Forked:
    """A forked process, held like a `subprocess.Popen`."""

    def __init__(self, part: str, env: dict[str, str], log: str) -> None:
        self._process = FORKS.Process(target=enter, args=(part, env, log))
        self._process.start()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    def poll(self) -> int | None:
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)


def enter(part: str, env: dict[str, str], log: str) -> None:
    """Be that part, as a process that was started with this environment and log."""
    os.environ.clear()
    os.environ.update(env)
    os.chdir(ROOT)
    with open(log, "ab") as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main([part]))
