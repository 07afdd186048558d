"""A database that is new, while the hosts and the data folder remember an older one's numbers."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from bot.adapters.aws.records import Instance
from bot.adapters.records import Outcome
from bot.command import Environment, command, read
from bot.config import Config
from bot.dispatcher import Dispatcher, Request
from bot.engine import Engine
from bot.errors import Refused
from bot.events import Done, Progress, Stopped
from bot.job import Job
from bot.numbers import number_from
from bot.outside import Adapters
from bot.people import Who
from bot.store import Store
from tests.lab.postgres import drop, make
from tests.waiting import until

HOST = Instance("i-1", "prodweb1", "prod", "web", "127.0.0.1", "running")


def asked(store: Store, id: str) -> int:
    row = {"line": "status", "command": "status", "environment": "prod", "person": "ada"}
    return store.submit(id, front="terminal", **row)[0].number


def goes_on(store: Store) -> None:
    number_from(store, 1)
    number_from(store, 313)
    assert [asked(store, "a"), asked(store, "b")] == [313, 314]
    for taken in (1, 313, 314, -5):
        with pytest.raises(Refused, match="#314 is taken already\npacklead number-from 315"):
            number_from(store, taken)
    with pytest.raises(Refused, match="numbers go up to"):
        number_from(store, 2**31)
    assert asked(store, "c") == 315
    number_from(store, 400)
    assert asked(store, "d") == 400


def test_numbers_go_on_in_a_file(store: Store) -> None:
    goes_on(store)


def test_numbers_go_on_in_postgres(postgres: str) -> None:
    name = f"packlead_{uuid.uuid4().hex}"
    make(postgres, name)
    store = Store(f"{postgres}/{name}", key=b"the key of a house of tests, long enough")
    try:
        goes_on(store)
    finally:
        store.close()
        drop(postgres, name)


@command(permission="deploy", changes="environment")
def play(job: Job, environment: Environment) -> Progress[None]:
    """Play something."""
    job.play("nothing.yml", environment.name, (), {})
    yield Done("played")


@command(permission="deploy", changes="environment")
def far(job: Job, environment: Environment) -> Progress[None]:
    """Run something on a host of the environment."""
    job.far.run(HOST, ["true"], 1)
    yield Done(f"ran in {environment.name}")


class Plays:
    """Playbooks that do nothing but count."""

    def __init__(self) -> None:
        self.played = list[str]()

    def state(self, run: str) -> str:
        return "ended" if run in self.played else "new"

    begun = state

    def play(self, run: str, *_: object) -> Outcome:
        self.played.append(run)
        return Outcome(True)


def test_an_older_databases_runs_are_not_taken_for_ones_own(config: Config, store: Store):
    """They have ended well, and nothing was done here; nothing is, before they are looked at."""
    folder, plays = Path(config.data), Plays()
    for left in ("runs/1-2.1", "runs/17-2.1-mend", "remote/2"):
        (folder / left).mkdir(parents=True)
    commands = {each.name: each for each in map(read, (play, far))}
    dispatcher = Dispatcher(config, commands, store)
    nothing = dict.fromkeys(Adapters.__dataclass_fields__)
    adapters = Adapters(**{**nothing, "playbooks": plays, "remote": plays})  # type: ignore[arg-type]
    engine = Engine(store, dispatcher, lambda _: adapters, folder, lease=2, poll=0.05)
    engine.start()

    def ends(line: str) -> object:
        request = Request(line + str(len(store.history())), line, Who("slack", "U0ADA", "T0LAB"))
        id = dispatcher.ask(request).operation
        until(lambda: not store.get(id).live, f"{line} ends")
        return store.entries(id)[-1].event

    for number, line in enumerate(("play prod", "far prod"), 1):
        last = ends(line)
        assert isinstance(last, Stopped)
        assert last.text == f"the data folder has runs of a #{number} already, of another database"
        assert last.hint == "packlead number-from 18"
    number_from(store, 18)
    assert ends("play prod") == Done("played")
    assert [run.partition("-")[0] for run in plays.played] == ["18"]
    engine.stop()
