"""The bot as a real process, and other words of its command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, Protocol

from tests.waiting import PATIENCE, until

ROOT = Path(__file__).parents[2]
READY = "packlead is ready"


class Process(Protocol):
    """What is begun: a `subprocess.Popen`, or what may be held like one."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def kill(self) -> None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, signal: int) -> None: ...


Begin = Callable[[str, dict[str, str], BinaryIO], Process]


def begin(part: str, env: dict[str, str], log: BinaryIO) -> Process:
    """Start a part as a service manager does."""
    return subprocess.Popen(
        [sys.executable, "-m", "bot", part], env=env, cwd=ROOT, stdin=subprocess.DEVNULL,
        stdout=log, stderr=log,
    )  # fmt: skip


class Bot:
    """`packlead up`; it may be ended as roughly as one likes, and started again."""

    def __init__(self, env: Mapping[str, str], log: Path, begin: Begin = begin) -> None:
        self.env, self.log, self._begin = {**os.environ, **env}, log, begin
        self._process: Process | None = None
        self._before = 0  # length of the log when it was started

    @property
    def lives(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it hears commands."""
        self.spawn()
        self.is_ready()

    def spawn(self) -> None:
        """Start it, and do not wait: it may be killed before it is ready."""
        self._before = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = self._begin("up", self.env, log)

    def is_ready(self) -> None:
        """Wait until it hears commands."""

        def ready() -> bool:
            assert self.lives, f"the bot ended at its start:\n{self.tail()}"
            return READY.encode() in self.log.read_bytes()[self._before :]

        until(ready, lambda: f"the bot is ready:\n{self.tail()}")

    def kill(self) -> None:
        """kill -9: it can say and write nothing more."""
        assert self._process and self.lives, f"the bot had ended already:\n{self.tail()}"
        self._process.kill()
        self._process.wait(10)

    def stop(self, seconds: float = 20) -> None:
        """Ask it to end, as a service manager does."""
        if self._process is None or not self.lives:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
            raise AssertionError(
                f"{seconds:g} s after SIGTERM it still ran:\n{self.tail()}"
            ) from None
        assert code == 0, f"it ended with {code} after SIGTERM:\n{self.tail()}"

    def tail(self, lines: int = 40) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


class Packlead:
    """One `packlead …` in a terminal, that ends by itself; `env` is laid over that of the lab."""

    def __init__(
        self, env: Mapping[str, str | None], *words: str, given: str | None = None
    ) -> None:
        whole = {**os.environ, **env, "COLUMNS": "1000"}
        self.words = words
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bot", *words], cwd=ROOT, text=True,
            env={key: value for key, value in whole.items() if value is not None},
            stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        if self._process.stdin is not None and given is not None:
            self._process.stdin.write(given)  # what is piped into it
            self._process.stdin.close()
            self._process.stdin = None
        self.out = self.errors = ""

    def stop(self) -> None:
        """Close the terminal."""
        self._process.kill()
        self._process.communicate()

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """kill -9: it can say and write nothing more."""
        self._process.kill()

    def ends(self, status: int, seconds: float = PATIENCE) -> Packlead:
        """Wait for its end, which is with this exit status."""
        try:
            self.out, self.errors = self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self.out, self.errors = self._process.communicate()
            raise AssertionError(f"after {seconds:g} s still running {self}") from None
        assert self._process.returncode == status, f"exit {self._process.returncode} of {self}"
        assert "Traceback" not in self.out + self.errors, str(self)
        return self

    def says(self, *texts: str) -> Packlead:
        for text in texts:
            assert text in self.out + self.errors, f"not said: {text!r}, by {self}"
        return self

    def __str__(self) -> str:
        return f"packlead {' '.join(self.words)}:\n{self.out}{self.errors}"
