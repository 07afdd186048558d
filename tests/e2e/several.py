"""Several machines on one Postgres: each a data folder of its own, with the parts that run there.

A machine's worker may be killed, its whole machine may be paused or lost, the server restarted.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bot.alive import living
from bot.config_file import load
from bot.numbers import number_from
from bot.store import Store
from tests.e2e.process import READY, Begin, Bot, Process, begin
from tests.e2e.world import World, processes, read
from tests.lab.lab import Lab
from tests.waiting import PATIENCE, until

KEY = secrets.token_urlsafe(48)


class Machine:
    """One machine: its data folder, and the processes of Packlead on it."""

    def __init__(self, house: Several, name: str) -> None:
        self.house, self.name = house, name
        self.folder = house.folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data, self.log = self.folder / "data", self.folder / "log"
        text = house.lab.config.read_text()
        shared = str(load(house.lab.config).data)
        assert text.count(f'"{shared}"') == 1
        self.config = self.folder / "packlead.toml"
        lease = f"lease = {house.lease:g}\n"
        self.config.write_text(lease + text.replace(f'"{shared}"', f'"{self.data}"'))
        self._parts: dict[str, Process] = {}

    def start(self, part: str = "worker", seconds: float = PATIENCE) -> Machine:
        """Start a part, and wait until it is at work."""
        before = self.log.stat().st_size if self.log.exists() else 0
        self.launch(part)

        def works() -> bool:
            assert self.lives(part), f"{part} of {self.name} has ended:\n{self.tail()}"
            if part == "worker":
                return self.beats(self.house.living())
            return part == "clock" or READY in self.log.read_text()[before:]

        until(works, lambda: f"{part} of {self.name} works:\n{self.tail()}", seconds)
        return self

    def launch(self, part: str = "worker") -> None:
        """Start a part, and do not wait for it."""
        env = {**os.environ, **self.house.env, "PACKLEAD_CONFIG": str(self.config)}
        with self.log.open("ab") as log:
            self._parts[part] = self.house.begin(part, env, log)

    def beats(self, living: set[str]) -> bool:
        """Whether its worker is one of those that say that they live."""
        return any(f".{self.pid()}-" in id for id in living)

    def pid(self, part: str = "worker") -> int:
        return self._parts[part].pid

    def lives(self, part: str = "worker") -> bool:
        return part in self._parts and self._parts[part].poll() is None

    def kill(self, part: str = "worker") -> None:
        """kill -9 of one process; what it has started detached goes on."""
        self._parts[part].kill()
        self._parts[part].wait(10)

    def lose(self) -> None:
        """The whole machine is gone, and its disk with it."""
        for part in self._parts:
            self.kill(part)
        for pid in self.runs():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop(self, part: str = "worker", seconds: float = 30) -> float:
        """Ask a part to end, and return in how many seconds it has."""
        began = time.monotonic()
        self._parts[part].send_signal(signal.SIGTERM)
        code = self._parts[part].wait(seconds)
        assert code == 0, f"{part} of {self.name} ended with {code}:\n{self.tail()}"
        return time.monotonic() - began

    def pause(self) -> list[int]:
        """Stop the machine in time; returns what stands still."""
        still = [p.pid for p in self._parts.values() if p.poll() is None] + self.runs()
        for pid in still:
            os.kill(pid, signal.SIGSTOP)
        return still

    def runs(self, words: bytes = b"") -> list[int]:
        """The processes of the playbooks that were started here, with these words in their line."""
        mine = str(self.data).encode()
        ours = {p.pid for p in self._parts.values()}
        return [
            int(process.name)
            for process, line in processes()
            if int(process.name) not in ours
            and (mine in line.encode() or mine in read(process / "environ"))
            and words in line.encode()
        ]

    def tail(self, lines: int = 40) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


@dataclass
class Several(World):
    """The world of several machines; their runs are wherever they were begun."""

    begin: Begin = begin
    url: str = ""
    lease: float = 3.0
    machines: dict[str, Machine] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.lab.folder / "machines" / self.url.rpartition("/")[2]

    @property
    def env(self) -> dict[str, str]:
        return {**self.lab.env, "PORT": "0", "DATABASE_URL": self.url, "PACKLEAD_KEY": KEY}

    def machine(self, name: str) -> Machine:
        if name not in self.machines:
            self.machines[name] = Machine(self, name)
        return self.machines[name]

    def living(self) -> set[str]:
        return living(self.store, self.lease)

    def runs_of(self, number: int) -> list[Path]:
        return sorted(self.folder.glob(f"*/data/runs/{number}-*"))

    def player(self, number: int) -> Machine:
        """The machine that plays an operation's playbook now."""

        def playing() -> Machine | None:
            found = [r for r in self.runs_of(number) if (r / "begun").exists() and not ended(r)]
            return self.machines[found[0].parents[2].name] if found else None

        return until(playing, f"#{number} is played somewhere")

    def end(self) -> None:
        """End all of it, and what it runs."""
        for machine in self.machines.values():
            for pid in machine.pause():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.store.close()


def ended(run: Path) -> bool:
    return (run / "code").exists()


def spans(run: Path) -> Iterator[tuple[float, float]]:
    """From when to when a run was at work, by its own lines; nothing where it said nothing."""
    told = run / "events.jsonl"
    lines = told.read_text().splitlines() if told.exists() else []
    times = [at for line in lines if (at := json.loads(line).get("at"))]
    if times:
        yield min(times), max(times)


def several(lab: Lab, url: str, lease: float, first: int = 1, begin: Begin = begin) -> Several:
    """Return the world; no machine is in it yet. Its operations are numbered from `first`: hosts
    that knew another database refuse what is older than they remember."""
    store = Store(url, patience=30, key=KEY.encode())
    if first > 1:
        number_from(store, first)
    nobody: Bot = None  # type: ignore[assignment] - there are machines instead
    return Several(lab, load(lab.config), store, nobody, begin=begin, url=url, lease=lease)
