"""The config is edited in the middle of an operation: it goes on with what it began with."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.as_begun import KIND
from bot.command import Command, Environment, command, read
from bot.config import Config
from bot.dispatcher import Dispatcher, Request
from bot.engine import Engine
from bot.events import Done, Note, Progress
from bot.job import Job
from bot.outside import Adapters
from bot.people import Who
from bot.store import Store
from tests.waiting import until

Live = Callable[[dict[str, Any]], Dispatcher]
WAITING = "waiting"  # the file that keeps it from going on


@command(permission="deploy", changes="environment")
def roll(job: Job, environment: Environment) -> Progress[None]:
    """Ask each balancer of the environment, as many steps as there are, then wait."""
    for type in environment.balancers:
        job.step(f"ask {type}", lambda type=type: type, str)
        yield Note(f"{type}, minimum {job.config.types[type].minimum}")
    job.step("wait", lambda: wait(Path(job.config.data) / WAITING), str)
    yield Done(f"rolled {environment.name}, in a house of {len(job.config.people)}")


def wait(file: Path) -> str:
    while file.exists():
        time.sleep(0.05)
    return ""


COMMANDS: dict[str, Command] = {"roll": read(roll)}


@pytest.fixture
def live(store: Store) -> Iterator[Live]:
    """End the worker that is there, and start one with this config."""
    engines: list[Engine] = []

    def start(file: dict[str, Any]) -> Dispatcher:
        config = Config.model_validate(file)
        dispatcher = Dispatcher(config, COMMANDS, store)
        nothing: Adapters = None  # type: ignore[assignment] - it reaches for no adapter
        for engine in engines:
            engine.stop(drain=0)
        engines[:] = [
            Engine(store, dispatcher, lambda _: nothing, Path(config.data), lease=2, poll=0.05)
        ]
        engines[0].start()
        return dispatcher

    yield start
    engines[0].stop()


def ends(store: Store, id: str) -> list[str]:
    """Wait until it ends; return what it told."""
    until(lambda: (found := store.get(id)) and not found.live, lambda: f"{store.entries(id)}")
    told = [entry.event for entry in store.entries(id)]
    return [event.text for event in told if isinstance(event, Note | Done)]


def gone(file: dict[str, Any]) -> None:
    del file["environments"]["prod"], file["types"]["web"]


def changed(file: dict[str, Any]) -> None:
    file["environments"]["prod"]["balancers"] = {"celery": {"classic": "prod-celery"}}
    file["types"]["celery"]["minimum"] = 7


@pytest.mark.parametrize("edit", [gone, changed])
def test_it_goes_on_as_it_began(edit, config: Config, store: Store, live: Live):
    """People are those of now, and the next operation goes by the new config alone."""
    waiting = Path(config.data) / WAITING
    waiting.parent.mkdir()
    waiting.touch()
    ada, file = Who("slack", "U0ADA", "T0LAB"), config.model_dump(mode="json")
    assert live(file).ask(Request("op", "roll prod", ada)).ok
    until(lambda: len(store.entries("op")) >= 2, "it has begun")
    edit(file)
    del file["people"]["eve"]
    dispatcher = live(file)
    waiting.unlink()
    assert ends(store, "op") == ["web, minimum 2", "rolled prod, in a house of 2"]
    if edit is changed:
        assert dispatcher.ask(Request("next", "roll prod", ada)).ok
        assert ends(store, "next") == ["celery, minimum 7", "rolled prod, in a house of 2"]


def test_what_another_version_kept_is_not_in_the_way(config: Config, store: Store, live: Live):
    Path(config.data).mkdir()
    dispatcher = Dispatcher(config, COMMANDS, store)
    store.keep_note(KIND, "op", {"types": {"web": {"wings": 2}}, "environments": {}})
    assert dispatcher.ask(Request("op", "roll prod", Who("slack", "U0ADA", "T0LAB"))).ok
    live(config.model_dump(mode="json"))
    assert ends(store, "op") == ["web, minimum 2", "rolled prod, in a house of 3"]
