"""The real bot as a process: started on a lab, watched, and ended with all that it runs."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from bot.config_file import load
from tests.lab.lab import Lab
from tests.lab.leashed import KEPT, LEASH

ROOT = Path(__file__).resolve().parents[2]
READY = "packlead is ready"


class Bot:
    """`packlead up` on a lab; nothing of this process's own environment reaches it."""

    def __init__(self, lab: Lab, more: Mapping[str, str] | None = None) -> None:
        self.lab, self.data = lab, Path(load(lab.config).data)
        self.log = lab.folder / "bot.log"
        self._env = environment(lab) | {"PORT": "0", **(more or {})}
        self.started = 0.0

    def __enter__(self) -> Self:
        self.start()
        self.wait_ready()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error:
            print(f"{error!r}\nthe bot's log ends with:\n{self.tail()}")
        self.stop()

    def start(self) -> None:
        self.log.unlink(missing_ok=True)
        self.started = time.monotonic()
        with self.log.open("wb") as out:
            # On the lab's leash: whatever ends us, it ends too, and so do its playbooks.
            self._leash = subprocess.Popen(
                [*LEASH, sys.executable, "-m", "bot", "up"], cwd=ROOT, env=self._env, stdout=out,
                stderr=out, stdin=subprocess.PIPE, start_new_session=True,
            )  # fmt: skip

    def wait_ready(self, seconds: float = 30) -> None:
        """Return when it says that it is ready."""
        end = time.monotonic() + seconds
        while READY not in self.log.read_text():
            if not self.alive or time.monotonic() > end:
                raise RuntimeError(f"the bot does not start:\n{self.tail()}")
            time.sleep(0.01)

    @property
    def alive(self) -> bool:
        return self._leash.poll() is None

    @property
    def pid(self) -> int:
        """The bot's own process, below the one that holds it."""
        children = Path(f"/proc/{self._leash.pid}/task/{self._leash.pid}/children")
        return int(children.read_text().split()[0])

    def stop(self) -> None:
        """End it as a service manager does, and then the playbooks that would outlive it."""
        assert self._leash.stdin
        with contextlib.suppress(OSError, IndexError):  # it has ended already
            os.kill(self.pid, signal.SIGTERM)
        try:
            self._leash.wait(20)
        except subprocess.TimeoutExpired:
            print(f"the bot does not stop by SIGTERM:\n{self.tail()}")
        self._leash.stdin.close()
        self._leash.wait(20)

    def resident(self) -> tuple[float, float]:
        """Return the MB that are resident, and those that are its own share (PSS)."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        shared = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return _megabytes("VmRSS", status), _megabytes("Pss", shared)

    def tail(self, lines: int = 20) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def environment(lab: Lab) -> dict[str, str]:
    """Return the environment of a Packlead on a lab."""
    kept = {key: value for key, value in os.environ.items() if key in (*KEPT, "PYTHONPATH")}
    return kept | lab.env


def _megabytes(name: str, text: str) -> float:
    found = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
    return int(found.group(1)) / 1024 if found else 0.0
