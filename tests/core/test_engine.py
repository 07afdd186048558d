"""An operation survives the bot: in order, once each, cancelled where it stands, taken up again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bot.command import Command, Environment, command, read
from bot.config import Config
from bot.dispatcher import Dispatcher, Request
from bot.engine import Engine
from bot.errors import Cancelled, Failed
from bot.events import Done, Note, Progress, Stopped, WasCancelled
from bot.job import Job
from bot.outside import Adapters
from bot.people import Who
from bot.store import Store
from tests.lab.postgres import drop, make
from tests.waiting import until

FILE = Path(__file__)
TRACE = "PACKLEAD_TEST_TRACE"


def trace(word: str) -> str:
    with Path(os.environ[TRACE]).open("a") as file:
        file.write(f"{word}\n")
    return word


@command(permission="deploy", changes="environment")
def work(job: Job, environment: Environment) -> Progress[None]:
    """Do three things, the second one slowly."""
    name = f"{environment.name}-{job.operation.number}"
    for step in ("one", "two", "three"):
        job.step(step, lambda step=step: trace(f"{name} {step}"), str)
        yield Note(step)
        if step == "one":
            job.step("wait", lambda: time.sleep(float(os.environ.get("SLOW", "0"))) or "", str)
    yield Done("all three")


@command(permission="deploy", changes="environment")
def tidy(job: Job, environment: Environment) -> Progress[None]:
    """Go on until somebody says stop, then put things back."""
    try:
        while True:
            job.step("turn", lambda: time.sleep(0.05) or "", str)
            yield Note("still at it")
    except Cancelled:
        job.step("back", lambda: trace("put back"), str)
        yield Note("all is back")
        raise


@command(permission="deploy", changes="environment")
def break_(job: Job, environment: Environment, how: Environment | None = None) -> Progress[None]:
    """Fail as expected, or as a bug."""
    yield Note("going")
    if how:
        raise ZeroDivisionError
    job.step("fail", lambda: _raise(Failed("asking AWS: no", "ask again")), str)


def _raise(error: Exception) -> str:
    raise error


COMMANDS: dict[str, Command] = {c.name: c for c in map(read, (work, tidy, break_))}


def house(config: Config, store: Store) -> tuple[Dispatcher, Engine]:
    Path(config.data).mkdir(exist_ok=True)
    dispatcher = Dispatcher(config, COMMANDS, store)
    nothing: Adapters = None  # type: ignore[assignment] - these commands reach for no adapter
    return dispatcher, Engine(
        store, dispatcher, lambda _: nothing, Path(config.data), lease=2, poll=0.05
    )


@pytest.fixture(params=["sqlite", "postgres"])
def store(request, tmp_path: Path) -> Iterator[Store]:
    """A fresh database."""
    if request.param == "sqlite":
        store = Store(f"sqlite:///{tmp_path / 'packlead.db'}")
        yield store
        store.close()
        return
    server, name = request.getfixturevalue("postgres"), f"packlead_{uuid.uuid4().hex}"
    make(server, name)
    store = Store(f"{server}/{name}")
    yield store
    store.close()
    drop(server, name)


@pytest.fixture
def say(config: Config, store: Store, tmp_path: Path, monkeypatch) -> Iterator[Callable[..., str]]:
    monkeypatch.setenv(TRACE, str(tmp_path / "trace"))
    (tmp_path / "trace").touch()
    dispatcher, engine = house(config, store)
    engine.start()

    def ask(line: str, id: str = "") -> str:
        who = Who("slack", "U0ADA", "T0LAB")
        reply = dispatcher.ask(Request(id or line + str(time.time_ns()), line, who))
        assert reply.ok, reply.text
        return reply.operation

    yield ask
    engine.stop()


def ended(store: Store, id: str):
    """Return an operation and its last event, when it has ended."""
    until(
        lambda: (found := store.get(id)) and not found.live,
        lambda: f"{id} ends: {store.get(id)}; {store.entries(id)}",
    )
    return store.get(id), store.entries(id)[-1].event


def test_one_environment_works_in_order_and_two_side_by_side(say, store, tmp_path):
    ids = [say("work prod"), say("work prod"), say("work puppystream")]
    for id in ids:
        assert ended(store, id)[1] == Done("all three")
    lines = (tmp_path / "trace").read_text().splitlines()
    prod = [line for line in lines if line.startswith("prod")]
    first, second = (store.get(i).number for i in ids[:2])
    assert prod == [f"prod-{n} {s}" for n in (first, second) for s in ("one", "two", "three")]


def test_a_request_that_comes_three_times_is_done_once(say, store, tmp_path):
    assert {say("work prod", id="same") for _ in range(3)} == {"same"}
    ended(store, "same")
    assert len((tmp_path / "trace").read_text().splitlines()) == 3
    assert [e.event for e in store.entries("same")][1:4] == [
        Note("one"),
        Note("two"),
        Note("three"),
    ]


def test_a_cancel_is_heard_and_what_was_begun_is_put_back(say, store, tmp_path):
    id = say("tidy prod")
    while len(store.entries(id)) < 4:
        time.sleep(0.01)
    assert store.cancel(id, "bob") == "cancelling"
    operation, last = ended(store, id)
    assert operation.state == "cancelled"
    assert isinstance(last, WasCancelled) and last.by == "bob"
    assert (tmp_path / "trace").read_text() == "put back\n"
    assert store.entries(id)[-2].event == Note("all is back")
    assert store.holder("prod") is None


def test_what_waits_is_cancelled_before_it_begins(say, store):
    first, second = say("tidy prod"), say("tidy prod")
    while store.get(first).state != "running":
        time.sleep(0.01)
    assert store.cancel(second, "ada") == "cancelled"
    assert ended(store, second)[1] == WasCancelled("ada", "before it began")
    store.cancel(first, "ada")
    ended(store, first)


def test_a_failure_is_told_in_its_own_words_and_a_bug_as_a_bug(say, store):
    operation, last = ended(store, say("break prod"))
    assert (operation.state, last) == ("failed", Stopped("asking AWS: no", "ask again", "failed"))
    operation, last = ended(store, say("break prod puppystream"))
    assert operation.state == "failed" and last.reason == "bug"
    assert f"#{operation.number}" in last.text and "ZeroDivision" not in last.text


def test_a_worker_that_stops_lets_go_and_the_next_one_goes_on(config, store, tmp_path, monkeypatch):
    """A restart ends no operation, and no shutting down is taken for a bug of the command."""
    monkeypatch.setenv(TRACE, str(tmp_path / "trace"))
    (tmp_path / "trace").touch()
    dispatcher, engine = house(config, store)
    ask = Request("op", "tidy prod", Who("slack", "U0ADA", "T0LAB"))
    assert dispatcher.ask(ask).ok
    for turn in (1, 2):
        engine.start()
        before = len(store.entries("op"))
        while len(store.entries("op")) < before + 3:
            time.sleep(0.01)
        engine.stop()
        assert store.get("op").state == "running", f"stopped {turn} times"
        dispatcher, engine = house(config, store)
    engine.start()
    store.cancel("op", "ada")
    assert isinstance(ended(store, "op")[1], WasCancelled)
    engine.stop()
    assert (tmp_path / "trace").read_text() == "put back\n"


def test_a_killed_worker_is_taken_up_where_it_was(config, store, tmp_path, monkeypatch):
    """kill -9 in the middle: what had ended is not done again, the lock is free at the end."""
    monkeypatch.setenv(TRACE, str(tmp_path / "trace"))
    dispatcher, _ = house(config, store)
    (tmp_path / "config.json").write_text(config.model_dump_json())
    ask = Request("op", "work prod", Who("slack", "U0ADA", "T0LAB"))
    assert dispatcher.ask(ask).ok
    for slow, kill in (("30", True), ("0", False)):
        environment = {**os.environ, "SLOW": slow, "PYTHONPATH": str(FILE.parents[2])}
        worker = subprocess.Popen(
            [sys.executable, str(FILE), str(tmp_path), store.url], env=environment
        )
        try:
            if kill:
                while len(store.entries("op")) < 2:
                    time.sleep(0.02)
            else:
                assert ended(store, "op")[1] == Done("all three")
        finally:
            os.kill(worker.pid, signal.SIGKILL)
            worker.wait()
    number = store.get("op").number
    steps = (tmp_path / "trace").read_text().splitlines()
    assert steps == [f"prod-{number} {s}" for s in ("one", "two", "three")]
    assert [e.event for e in store.entries("op")][1:] == [
        Note("one"), Note("two"), Note("three"), Done("all three"),
    ]  # fmt: skip
    assert store.holder("prod") is None


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    given = Config.model_validate_json((folder / "config.json").read_text())
    house(given, Store(sys.argv[2]))[1].start()
    time.sleep(60)
