"""The config is edited in the middle of an operation: it goes on with what it began with."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.as_begun import KIND, AsBegun
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
    way = job.held().calendar.environments[environment.name].branch  # type: ignore[attr-defined]
    known = len(job.config.people), len(job.people.config.people)
    yield Done(f"rolled {environment.name} from {way}, of {known[0]} people {known[1]} may speak")


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
        nothing = dict.fromkeys(Adapters.__dataclass_fields__)

        def made(config: Config) -> Adapters:
            return Adapters(**{**nothing, "calendar": config})  # type: ignore[arg-type]

        for engine in engines:
            engine.stop(drain=0)
        engines[:] = [Engine(store, dispatcher, made, Path(config.data), lease=2, poll=0.05)]
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
    file["environments"]["prod"]["branch"] = "main"
    file["environments"]["prod"]["balancers"] = {"celery": {"classic": "prod-celery"}}
    file["types"]["celery"]["minimum"] = 7


@pytest.mark.parametrize("edit", [gone, changed])
def test_it_goes_on_as_it_began(edit, config: Config, store: Store, live: Live):
    """Who may what is as of now, and the next operation goes by the new config alone."""
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
    told = "rolled prod from master, of 3 people 2 may speak"
    assert ends(store, "op") == ["web, minimum 2", told]
    if edit is changed:
        assert dispatcher.ask(Request("next", "roll prod", ada)).ok
        told = "rolled prod from main, of 2 people 2 may speak"
        assert ends(store, "next") == ["celery, minimum 7", told]


def test_a_part_goes_by_what_the_whole_has_begun_with(config: Config, store: Store):
    """A worker that was started with an edited file, or has another one, takes a part of it."""
    row = {"command": "roll", "environment": "prod", "person": "ada", "front": "slack"}
    whole, _ = store.submit("op", line="roll prod", exclusive=True, **row)
    part, _ = store.submit("op/1", line="roll prod", parent="op", **row)
    file = config.model_dump(mode="json")
    changed(file)
    edited = Config.model_validate(file)
    minimum = lambda config: config.types["celery"].minimum  # noqa: E731
    begun, other = (AsBegun(store, each, minimum(each), minimum) for each in (config, edited))
    assert (begun.of(whole), other.of(part), other.of(whole)) == (1, 1, 1)


def test_what_another_version_kept_is_not_in_the_way(config: Config, store: Store, live: Live):
    Path(config.data).mkdir()
    dispatcher = Dispatcher(config, COMMANDS, store)
    store.keep_note(KIND, "op", {"types": {"web": {"wings": 2}}, "environments": {}})
    assert dispatcher.ask(Request("op", "roll prod", Who("slack", "U0ADA", "T0LAB"))).ok
    live(config.model_dump(mode="json"))
    told = "rolled prod from master, of 3 people 3 may speak"
    assert ends(store, "op") == ["web, minimum 2", told]
