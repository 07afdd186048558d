"""Machines on one Postgres: what one of them has begun is never beside what another one begins."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot import detached
from bot.adapters.records import Outcome
from bot.alive import UNTOUCHED, home, living
from bot.command import Command, Environment, command, read
from bot.config import Config
from bot.dispatcher import Dispatcher, Request
from bot.engine import Engine
from bot.events import Done, Note, Progress
from bot.job import Job
from bot.outside import Adapters
from bot.people import Who
from bot.schema import turns
from bot.store import Store
from tests.lab.postgres import drop, make
from tests.waiting import until

FILE = Path(__file__)
LEASE = 2.0  # of these machines; LONG where one of them comes back in time
LONG = 60.0
ENOUGH = "enough"  # the file that lets a program end
PROGRAM = """
import pathlib, sys, time
trace, enough = map(pathlib.Path, sys.argv[1:3])
for n in range(1200):
    with trace.open("a") as file:
        file.write(f"{sys.argv[3]} {time.time()}\\n")
    time.sleep(0.05)
    if enough.exists():
        break
"""


@command(permission="deploy", changes="environment")
def play(job: Job, environment: Environment) -> Progress[None]:
    """Play something for a while."""
    yield Note("before")
    job.play("long.yml", environment.name, (), {}, mend="mend.yml")
    yield Note("after")
    yield Done("played")


COMMANDS: dict[str, Command] = {"play": read(play)}


class Programs:
    """Playbooks that are small programs, each of which notes when it was at work."""

    def __init__(self, folder: Path, lease: float) -> None:
        self.runs, self.trace, self.lease = folder / "runs", folder.parent / "trace", lease

    def state(self, name: str) -> str:
        return detached.state(self.runs / name)

    def attend(self, name: str) -> None:
        detached.attend(self.runs / name)

    def play(
        self, name, playbook, _environment, _hosts, variables, tell, cancelled, _plays
    ) -> Outcome:
        run, enough = self.runs / name, self.trace.with_name(ENOUGH)
        if playbook == "mend.yml":
            enough = self.trace  # at once
        word = f"{playbook}:{variables['packlead_turn']}"
        if detached.state(run) == "new":
            argv = [sys.executable, "-c", PROGRAM, str(self.trace), str(enough), word]
            detached.start(run, argv, {"PATH": os.defpath}, self.lease)
        detached.wait(run, lambda *_: None, cancelled)
        tell("end", Note(f"{playbook} has ended"))
        return Outcome(True)


def house(config: Config, store: Store, data: Path, lease: float) -> tuple[Dispatcher, Engine]:
    data.mkdir(exist_ok=True)
    dispatcher = Dispatcher(config, COMMANDS, store)
    playbooks = Programs(data, lease * UNTOUCHED)
    nothing = dict.fromkeys(Adapters.__dataclass_fields__)
    adapters = Adapters(**{**nothing, "playbooks": playbooks})  # type: ignore[arg-type]
    return dispatcher, Engine(store, dispatcher, lambda _: adapters, data, lease=lease, poll=0.05)


@pytest.fixture
def store(postgres: str) -> Iterator[Store]:
    name = f"packlead_{uuid.uuid4().hex}"
    make(postgres, name)
    store = Store(f"{postgres}/{name}", patience=20)
    yield store
    store.close()
    drop(postgres, name)


@pytest.fixture
def start(config: Config, store: Store, tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Start a worker on a machine; returns its process."""
    (tmp_path / "config.json").write_text(config.model_dump_json())
    begun: list[subprocess.Popen[bytes]] = []

    def begin(machine: str, lease: float = LEASE) -> int:
        words = [sys.executable, str(FILE), str(tmp_path), store.url, machine, str(lease)]
        env = {**os.environ, "PYTHONPATH": str(FILE.parents[2])}
        begun.append(subprocess.Popen(words, env=env))
        pid = begun[-1].pid
        until(lambda: any(f".{pid}-" in id for id in living(store, lease)), "it lives")
        return pid

    yield begin
    for process in begun:
        process.kill()
        process.send_signal(signal.SIGCONT)
        process.wait()
    (tmp_path / ENOUGH).touch()
    for run in tmp_path.glob("*/runs/*"):
        until(lambda run=run: detached.state(run) != "running", f"{run} ends")  # type: ignore[misc]


@pytest.fixture
def ask(config: Config, store: Store) -> Callable[[], str]:
    def say() -> str:
        dispatcher = Dispatcher(config, COMMANDS, store)
        assert dispatcher.ask(Request("op", "play prod", Who("slack", "U0ADA", "T0LAB"))).ok
        return "op"

    return say


def traced(folder: Path) -> dict[str, list[float]]:
    """When each program was at work, by its playbook and turn."""
    found: dict[str, list[float]] = {}
    for line in (folder / "trace").read_text().splitlines() if (folder / "trace").exists() else ():
        word, at = line.split()
        found.setdefault(word, []).append(float(at))
    return found


def ends(store: Store, folder: Path, id: str, *words: str) -> None:
    """It ends well, and these programs have run, in this order and never two at a time."""
    until(lambda: words[-1] in traced(folder), f"{words[-1]} runs: {traced(folder).keys()}")
    (folder / ENOUGH).touch()
    until(lambda: not store.get(id).live, "it ends")
    assert store.get(id).state == "done", store.entries(id)
    found = sorted(traced(folder).items(), key=lambda item: item[1][0])
    assert tuple(word for word, _ in found) == words
    for (one, before), (other, after) in pairwise(found):
        assert before[-1] < after[0], f"{other} beside {one}"
    notes = [e.event.text for e in store.entries(id) if isinstance(e.event, Note)]
    assert (notes[0], notes[-1]) == ("before", "after")


def test_a_killed_worker_comes_back_and_goes_on(store, start, ask, tmp_path):
    """It takes it past the queue, where its peer would be in its way."""
    pids = {name: start(name, LONG) for name in ("two", "three")}
    id = ask()
    until(lambda: traced(tmp_path), "it is played")
    machine = home(store.turns.played(id).by)
    name = next(m for m in pids if file_of(tmp_path, m) in machine)
    os.kill(pids[name], signal.SIGKILL)
    start(name, LONG)
    until(lambda: len(store.entries(id)) >= 2 and held(store, id) > 1, "it is taken up again")
    ends(store, tmp_path, id, "long.yml:1")


def test_what_a_dead_machine_has_begun_is_over_before_a_peer_begins(store, start, ask, tmp_path):
    pid, id = start("one"), ask()
    until(lambda: traced(tmp_path), "it is played")
    os.kill(pid, signal.SIGKILL)
    start("two")
    ends(store, tmp_path, id, "long.yml:1", "mend.yml:2", "long.yml:3")
    assert detached.state(tmp_path / "one" / "runs" / f"{store.get(id).number}-2.1") == "expired"


@pytest.mark.soak
def test_a_worker_that_slept_ends_nothing_and_tells_nothing(store, start, ask, tmp_path):
    pid, id = start("one"), ask()
    until(lambda: traced(tmp_path), "it is played")
    os.kill(pid, signal.SIGSTOP)
    start("two")
    ends(store, tmp_path, id, "long.yml:1", "mend.yml:2", "long.yml:3")
    entries = store.entries(id)
    os.kill(pid, signal.SIGCONT)
    time.sleep(1.5 * LEASE)
    assert store.entries(id) == entries


def test_who_holds_it_no_more_ends_nothing(store, ask):
    id = ask()
    first, second = store.begin(id), store.begin(id)
    assert (first.holder, second.holder) == (1, 2)
    assert store.turns.play(id, first.holder, "1-1", "one") == 0
    store.end(id, "failed", Done("too late"), first.holder)
    assert store.get(id).state == "running"
    assert [store.turns.play(id, second.holder, f"1-{n}", "two") for n in (1, 2)] == [1, 2]
    store.end(id, "done", Done("well"), second.holder)
    assert [e.event for e in store.entries(id)][-1] == Done("well")


def held(store: Store, id: str) -> int:
    """How often an operation was taken up."""
    query = sa.select(turns.c.holder).where(turns.c.operation == id)
    return store.transact(lambda c: c.execute(query).scalar())


def file_of(folder: Path, machine: str) -> str:
    return (folder / machine / "workers" / "name").read_text()


if __name__ == "__main__":
    place = Path(sys.argv[1])
    given = Config.model_validate_json((place / "config.json").read_text())
    house(given, Store(sys.argv[2], patience=20), place / sys.argv[3], float(sys.argv[4]))[
        1
    ].start()
    time.sleep(120)
