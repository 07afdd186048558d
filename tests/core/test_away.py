"""The database is locked by somebody else, or its disk is full: nothing is lost, and it is said.

Nothing that was refused happens later, what runs goes on when it can, and no run loses a line.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot import detached, disk
from bot.__main__ import HURRY
from bot.command import Command, Environment, command, read
from bot.config import Config
from bot.dispatcher import Dispatcher, Reply, Request
from bot.engine import Engine
from bot.events import Done, Note, Progress, Stopped
from bot.fronts.slack_lane import TOO_LATE
from bot.job import Job
from bot.outside import Adapters
from bot.people import Who
from bot.store import Store
from tests.waiting import until

SLACK = 3.0  # seconds that it waits for an answer
TURNS, LONG = 20, 5  # in the LONG one there is time to take the database away
ROOM = 2 * disk.LEAST
HOLD = """
import sqlite3, sys, time
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("begin exclusive")
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""
PRINTS = """
import sys, time
from bot.adapters.ansible.child import Out
out = Out(1)
for number in range(400):
    out.say(b'{"n": %d, "text": "%s"}\\n' % (number, b"x" * 2000))
    time.sleep(0.01)
out.end()
"""


@command(permission="deploy", changes="environment")
def stroll(job: Job, environment: Environment) -> Progress[None]:
    """Go so many steps, and say each."""
    for turn in range(TURNS):
        pause = 2.0 if turn == LONG else 0.02
        job.step("turn", lambda pause=pause: time.sleep(pause) or "", str)
        yield Note(f"{environment.name} {turn}")
    yield Done("there")


@command(permission="status")
def look(_job: Job) -> Progress[None]:
    """Only look."""
    yield Done("seen")


COMMANDS: dict[str, Command] = {c.name: c for c in map(read, (stroll, look))}


class House:
    """A front and a worker, each with the store that `packlead up` gives it."""

    def __init__(self, config: Config) -> None:
        self.data = Path(config.data)
        self.data.mkdir(exist_ok=True)
        self.url = f"sqlite:///{self.data / 'packlead.db'}"
        self.front, self.store = Store(self.url, wait=HURRY), Store(self.url, patience=600)
        self.dispatcher = Dispatcher(config, COMMANDS, self.front)
        nothing: Adapters = None  # type: ignore[assignment] - these commands reach for no adapter
        worker = Dispatcher(config, COMMANDS, self.store)
        self.engine = Engine(self.store, worker, lambda _: nothing, self.data, lease=15, poll=0.05)
        self.engine.start()
        self._ids = iter(range(1000))

    def stop(self) -> None:
        self.engine.stop()
        self.front.close()
        self.store.close()

    def says(self, line: str) -> Reply:
        """Say something, and return the answer."""
        who = Who("slack", "U0ADA", "T0LAB")
        return self.dispatcher.ask(Request(f"r{next(self._ids)}", line, who))

    def strolls(self) -> str:
        """Begin something that takes a while."""
        reply = self.says("stroll prod")
        assert reply.ok, reply.text
        until(lambda: len(self.store.entries(reply.operation)) > LONG)
        return reply.operation

    def arrives(self, id: str) -> None:
        """It ends well, and has said each thing once."""
        until(lambda: not self.store.get(id).live)  # type: ignore[union-attr]
        told = [entry.event for entry in self.store.entries(id)][1:]
        assert not [event for event in told if isinstance(event, Stopped)], told
        assert told == [*(Note(f"prod {turn}") for turn in range(TURNS)), Done("there")]


@pytest.fixture
def house(config: Config) -> Iterator[House]:
    house = House(config)
    yield house
    house.stop()


def test_who_is_refused_hears_it_before_slack_gives_up():
    assert HURRY + TOO_LATE < SLACK, "Slack would call failed what may still happen"


def held(house: House, seconds: float) -> subprocess.Popen[bytes]:
    """Return a process that keeps everybody else from writing for so long."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(house.data / "packlead.db"), str(seconds)],
        stdout=subprocess.PIPE,
    )
    assert holder.stdout and holder.stdout.readline() == b"held\n"
    return holder


def test_who_only_reads_waits_for_nobody_who_writes(house: House):
    walk = house.strolls()
    holder = held(house, 600)
    try:
        begun = Store(house.url, wait=0.0)  # as at the start of a bot
        assert [one.id for one in begun.history()] == [walk] and begun.entries(walk)
        begun.close()
        assert holder.poll() is None
    finally:
        holder.kill()
        holder.communicate()
    house.arrives(walk)


@pytest.mark.parametrize("seconds", [8.0, pytest.param(30.0, marks=pytest.mark.soak)])
def test_locked_by_another_process(house: House, seconds: float):
    walk = house.strolls()
    holder = held(house, seconds)
    count = len(detached_rows(house))
    for line in ("stroll puppystream", "look"):
        reply = house.says(line)
        assert not reply.ok
        assert reply.text == ("the database cannot be reached: nothing was accepted\nsay it again")
        assert holder.poll() is None, "it has waited for the other one"
    holder.communicate(timeout=seconds + 10)
    assert holder.returncode == 0
    house.arrives(walk)
    assert len(house.store.history()) == count, "what was refused has not happened later"
    assert house.says("look").ok


def detached_rows(house: House) -> list[str]:
    """Return the requests of which there is a row, read past the lock."""
    line = ["-c", "import sqlite3,sys;c=sqlite3.connect('file:'+sys.argv[1]+'?mode=ro',uri=True);"
            "print(*[r[0] for r in c.execute('select id from operations')])"]  # fmt: skip
    file = str(house.data / "packlead.db")
    told = subprocess.run([sys.executable, *line, file], capture_output=True, text=True, check=True)
    return told.stdout.split()


@pytest.fixture
def small(config: Config, tmp_path: Path) -> Iterator[Config]:
    """The data lies on a small disk of its own."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "packlead-test", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here: it needs root")
    yield config.model_copy(update={"data": str(place / "data")})
    subprocess.run(["umount", "-l", str(place)], check=True)


@contextlib.contextmanager
def filled(folder: Path, left: int = 0) -> Iterator[None]:
    """A disk on which only so many bytes are left."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while (stat := os.statvfs(folder)).f_bavail * stat.f_frsize > left or not left:
            file.write(bytes(4096))
    try:
        yield
    finally:
        filler.unlink()


def test_the_disk_is_full(small: Config):
    house = House(small)
    try:
        with filled(house.data, disk.LEAST - 8_000_000):
            reply = house.says("stroll prod")
            assert not reply.ok and "MB left: nothing is begun any more" in reply.text
            assert f"make room for {house.data}" in reply.text
            assert house.says("look").ok, "looking is still possible"
        run = house.data / "runs" / "1-1"
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])}
        detached.start(run, [sys.executable, "-c", PRINTS], env)
        until((run / "events.jsonl").exists)
        walk = house.strolls()
        with filled(house.data):
            time.sleep(3.5)
            reply = house.says("look")
            assert (reply.ok, reply.text) == (
                False,
                "the database's disk is full: nothing was accepted\n"
                "have somebody make room, then say it again",
            )
            assert detached.state(run) == "running", "its last lines wait for room"
            assert house.engine.stopping.is_set() is False
        lines: list[object] = []
        assert detached.wait(run, lambda number, line: lines.append(line.get("n"))) == 0
        assert lines == list(range(400))
        house.arrives(walk)
        assert house.says("stroll puppystream").ok
    finally:
        house.stop()
