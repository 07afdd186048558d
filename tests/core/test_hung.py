"""The database's server hangs: its connections stand, and nothing comes any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from bot.alive import TAKEN
from bot.command import Command, Environment, command, read
from bot.config import Config
from bot.database import SILENCE, SILENT
from bot.dispatcher import Dispatcher, Reply, Request
from bot.engine import Engine
from bot.events import Done, Progress
from bot.job import Job
from bot.outside import Adapters
from bot.people import Who
from bot.store import Store
from tests.lab.postgres import Postgres
from tests.waiting import until

LEASE = 2.0  # seconds
SHORT = 1.0  # seconds: `silence` of these stores
STEPS = 40
WALKED: list[int] = []  # what the command has done, outside of the database


@command(permission="deploy", changes="environment")
def stroll(job: Job, environment: Environment) -> Progress[None]:
    """Go so many steps."""
    for turn in range(STEPS):
        job.step("turn", partial(go, turn), str)
    yield Done("there")


def go(turn: int) -> str:
    WALKED.append(turn)
    time.sleep(0.05)
    return ""


COMMANDS: dict[str, Command] = {"stroll": read(stroll)}


@pytest.fixture
def opened(server: Postgres) -> Iterator[Callable[[float], Store]]:
    """A store of one more database, with so much patience, and with a connection at hand."""
    stores: list[Store] = []

    def made(patience: float) -> Store:
        url = f"{server.database()}?connect_timeout=2"
        stores.append(Store(url, patience, key=b"k" * 32, silence=SHORT))
        stores[-1].keep_note("slack", "one", {"said": 1})
        return stores[-1]

    yield made
    for store in stores:
        store.close()


class Call(threading.Thread):
    """A call that may never come back; `raised` is what it ended with."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self.work, self.said, self.raised = work, None, None
        self.start()

    said: object
    raised: Exception | None

    def run(self) -> None:
        try:
            self.said = self.work()
        except Exception as error:
            self.raised = error

    def ended(self) -> bool:
        return not self.is_alive()


def test_a_worker_finds_the_next_server_before_its_peers_take_it_for_dead():
    assert SILENCE + SILENT["connect_timeout"] < TAKEN * 15, "15 s is the lease"


@pytest.mark.parametrize("silence", [SHORT, pytest.param(SILENCE, marks=pytest.mark.soak)])
def test_who_asks_meanwhile_is_told(
    server: Postgres, opened: Callable[[float], Store], config: Config, silence: float
):
    store = opened(0)
    if silence != SHORT:
        store = Store(store.url.partition("?")[0], key=store.key)  # as everybody has it
    dispatcher = Dispatcher(config, COMMANDS, store)

    def ask() -> Reply:
        return dispatcher.ask(Request("one", "stroll prod", Who("slack", "U0ADA", "T0LAB")))

    with server.hangs():
        asked = [Call(ask), Call(ask)]
        until(lambda: all(call.ended() for call in asked), "they have an answer", 60)
        told = [call.said for call in asked]
    for reply in told:
        assert isinstance(reply, Reply) and not reply.ok
        assert reply.text == "the database cannot be reached: nothing was accepted\nsay it again"
    assert not store.history(), "what was refused has not happened later"
    assert ask().ok, "and it goes on"
    store.close()


def test_a_statement_without_an_answer_ends_with_words(
    server: Postgres, opened: Callable[[float], Store]
):
    store = opened(0)
    with store.engine.connect() as connection:  # it was well when the transaction began
        connection.execute(sa.text("select 1"))
        with server.hangs():
            call = Call(lambda: connection.execute(sa.text("select 1")))
            until(call.ended, "the statement ends", 60)
    assert isinstance(call.raised, OperationalError)
    assert "the database has said nothing for 1 s" in str(call.raised)
    assert store.note("slack", "one") == {"said": 1}


def test_old_connections_are_left_for_those_to_the_next_server(
    server: Postgres, opened: Callable[[float], Store]
):
    store = opened(600)
    with server.hangs(new=False):
        call = Call(lambda: store.keep_note("slack", "one", {"said": 2}))
        until(call.ended, "it was written over a new connection", 60)
        assert not call.raised
    assert store.note("slack", "one") == {"said": 2}


def test_who_only_listens_may_hear_nothing_for_long(opened: Callable[[float], Store]):
    store = opened(0)
    with store.engine.connect() as connection:
        listening = connection.connection.dbapi_connection
        listening.execute("listen told")  # type: ignore[union-attr]
        listening.commit()  # type: ignore[union-attr]
        heard = Call(lambda: next(listening.notifies()).payload)  # type: ignore[union-attr]
        time.sleep(3 * SHORT)
        assert not heard.ended(), "it still listens"
        with store.engine.connect() as other:
            other.execute(sa.text("notify told, 'something'"))
            other.commit()
        until(heard.ended)
        assert heard.said == "something"


def test_a_worker_does_nothing_beyond_its_lease_and_then_goes_on(
    server: Postgres, opened: Callable[[float], Store], config: Config, tmp_path: Path
):
    store, given_up = opened(600), list[str]()
    Path(config.data).mkdir()
    WALKED.clear()
    dispatcher = Dispatcher(config, COMMANDS, store)
    nothing: Adapters = None  # type: ignore[assignment] - this command reaches for no adapter
    engine = Engine(store, dispatcher, lambda _: nothing, Path(config.data), LEASE, poll=0.05)
    engine.start()
    try:
        who = Who("slack", "U0ADA", "T0LAB")
        id = dispatcher.ask(Request("one", "stroll prod", who)).operation
        until(lambda: len(WALKED) > 3)
        sa.event.listen(
            store.engine, "handle_error", lambda c: given_up.append(str(c.original_exception))
        )
        with server.hangs():
            time.sleep(LEASE)
            walked = len(WALKED)
            until(lambda: len(given_up) > 1, "its calls come back", 60)
            time.sleep(LEASE)
            assert len(WALKED) == walked < STEPS, "it went on without a database"
        until(lambda: not store.get(id).live)  # type: ignore[union-attr]
        assert store.get(id).state == "done"  # type: ignore[union-attr]
        assert list(range(STEPS)) == WALKED, "each step once, in order"
    finally:
        engine.stop()
