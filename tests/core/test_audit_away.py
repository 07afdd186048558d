"""Where the audit cannot be written nothing is done, whatever was accepted before."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot.adapters.records import Outcome
from bot.command import Command, Environment, command, read
from bot.config import Config
from bot.dispatcher import Dispatcher, Reply, Request
from bot.engine import Engine
from bot.events import Done, Note, Progress, Question, Stopped
from bot.job import Job
from bot.outside import Adapters
from bot.people import Who
from bot.store import Store
from tests.lab.postgres import drop, make
from tests.waiting import until

KEY = b"the key of a house of tests, long enough"
CLOSE = {
    "sqlite": [
        "create trigger closed before insert on audit "
        "begin select raise(abort, 'this table is closed'); end"
    ],
    "postgresql": [
        "create function closed() returns trigger language plpgsql as "
        "$$ begin raise exception 'this table is closed'; end $$",
        "create trigger closed before insert on audit for each row execute function closed()",
    ],
}
OPEN = {"sqlite": "drop trigger closed", "postgresql": "drop trigger closed on audit"}
WHY = "the audit cannot be written: this table is closed"
HINT = "nothing is done without it: have the database mended, then say it again"


@command(permission="deploy", changes="environment")
def reap(job: Job, environment: Environment) -> Progress[None]:
    """Take an instance away."""
    job.aws.terminate((f"i-{environment.name}",))
    yield Done("reaped")


@command(permission="deploy", changes="environment")
def sow(job: Job, environment: Environment) -> Progress[None]:
    """Play something."""
    job.play("nothing.yml", environment.name, (), {})
    yield Done("sown")


@command(permission="deploy", changes="environment")
def ponder(_job: Job, environment: Environment) -> Progress[None]:
    """Only ask."""
    yield Question(f"{environment.name}: sure?", "token")


COMMANDS: dict[str, Command] = {each.name: each for each in map(read, (reap, sow, ponder))}


class World:
    """AWS and playbooks, which do nothing but say what they were asked for, and when."""

    def __init__(self, store: Store) -> None:
        self.store, self.asked = store, list[str]()

    def terminate(self, ids: tuple[str, ...]) -> None:
        self._hear(f"terminate {' '.join(ids)}")

    def state(self, _run: str) -> str:
        return "new"

    begun = state

    def play(self, run: str, *_: object) -> Outcome:
        self._hear(f"play {run}")
        return Outcome(True)

    def _hear(self, what: str) -> None:
        self.asked.append(what)
        *_, newest = self.store.audit.rows()
        assert newest.kind == "intent", f"{what} was asked, and the audit says {newest}"


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A fresh database, with the patience of a worker."""
    if request.param == "sqlite":
        store = Store(f"sqlite:///{tmp_path / 'packlead.db'}", 600, key=KEY)
        yield store
        store.close()
        return
    server, name = request.getfixturevalue("postgres"), f"packlead_{uuid.uuid4().hex}"
    make(server, name)
    store = Store(f"{server}/{name}", 600, key=KEY)
    yield store
    store.close()
    drop(server, name)


class Bot:
    """A bot that has accepted things, and has yet to begin."""

    def __init__(self, config: Config, store: Store) -> None:
        self.store, self.world = store, World(store)
        self.dispatcher = Dispatcher(config, COMMANDS, store)
        nothing = dict.fromkeys(Adapters.__dataclass_fields__)
        adapters = Adapters(**{**nothing, "aws": self.world, "playbooks": self.world})  # type: ignore[arg-type]
        Path(config.data).mkdir()
        self.engine = Engine(
            store, self.dispatcher, lambda _: adapters, Path(config.data), lease=2, poll=0.05
        )

    def hears(self, line: str) -> Reply:
        return self.dispatcher.ask(Request(line, line, Who("slack", "U0ADA", "T0LAB")))

    def accepts(self, line: str) -> str:
        reply = self.hears(line)
        assert reply.ok, reply.text
        return reply.operation

    def says(self, *statements: str) -> None:
        for statement in statements:
            self.store.transact(lambda c, said=statement: c.execute(sa.text(said)))  # type: ignore[misc]

    def told(self, id: str) -> list[object]:
        return [entry.event for entry in self.store.entries(id)][1:]


@pytest.fixture
def bot(config: Config, store: Store) -> Iterator[Bot]:
    bot = Bot(config, store)
    yield bot
    bot.engine.stop()


def test_no_effect_of_what_was_accepted_is_begun(bot: Bot, store: Store):
    """It says so at once where people look, stays open, and ends when its end can be written."""
    dialect = store.engine.dialect.name
    ids = [bot.accepts("reap prod"), bot.accepts("sow puppystream")]
    bot.says(*CLOSE[dialect])
    bot.engine.start()
    late = bot.hears("ponder prod")
    assert (late.ok, late.text) == (False, f"{WHY}\n{HINT}")
    for id in ids:
        until(lambda id=id: bot.told(id), lambda id=id: f"{id} says why it stands still")
        assert bot.told(id) == [Note(f"{WHY}; this stays open until it can")]
        assert store.get(id).state == "running", "its environment is not let go in silence"
    assert bot.world.asked == [], "it was not in the audit, and was done"
    bot.says(OPEN[dialect])
    for id in ids:
        until(lambda id=id: not store.get(id).live, lambda id=id: f"{id} ends: {bot.told(id)}")
        assert bot.told(id)[1:] == [Stopped(WHY, HINT, "failed")]
    assert bot.world.asked == [], "it was not in the audit, and was done afterwards"
    kinds = [row.kind for row in store.audit.rows()]
    assert kinds == ["accepted"] * 2 + ["ended"] * 2 and store.audit.verify() == []


def test_nor_is_a_question_asked(bot: Bot, store: Store):
    dialect = store.engine.dialect.name
    id = bot.accepts("ponder prod")
    bot.says(*CLOSE[dialect])
    bot.engine.start()
    until(lambda: bot.told(id), "it says why it stands still")
    bot.says(OPEN[dialect])
    until(lambda: store.get(id).state == "waiting", lambda: f"it asks: {bot.told(id)}")
    assert [row.kind for row in store.audit.rows()] == ["accepted", "asked"]


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_one_that_is_away_for_a_while_is_waited_for(bot: Bot, store: Store):
    id = bot.accepts("reap prod")
    bot.says("alter table audit rename to elsewhere")
    bot.engine.start()
    until(lambda: store.get(id).state == "running", "it begins")
    bot.says("alter table elsewhere rename to audit")
    until(lambda: not store.get(id).live, lambda: f"it goes on: {bot.told(id)}")
    assert bot.told(id) == [Done("reaped")] and bot.world.asked == ["terminate i-prod"]
