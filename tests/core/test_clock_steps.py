"""The machine's clock is set, by hours, in the middle of everything: nothing is done twice or lost.

What is measured is measured by a clock that nobody sets; wall time decides only what people were
told of as wall time: how long a lock holds, until when a yes counts, at which hour something runs.
"""

from __future__ import annotations

import datetime as dt
import re

import pytest

from bot.alive import worker_lives
from bot.board import read
from bot.config import Schedule
from bot.events import Done, Planned
from bot.fronts.clock import Clock
from bot.operations import Operation
from bot.rolling import estimate
from bot.words import duration

HOUR = 3600.0
NEGATIVE = re.compile(r"(?<![\w-])-\d")


class Wall:
    """The clock on the wall: it stands, and is set."""

    def __init__(self) -> None:
        self.at = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC).timestamp()

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def wall(store):
    store.now = Wall()
    return store.now


def test_a_lock_is_told_without_nonsense_and_ends_by_the_clock(ask, wall):
    assert ask("U0ADA", "lock prod a visit --for 1h").ok
    wall.at -= 2 * HOUR
    told = ask("U0BOB", "status prod"), ask("U0ADA", "locks")
    assert "ada keeps prod from now on for 3 h" in told[1].text
    assert not NEGATIVE.search(told[1].text)
    wall.at += 4 * HOUR
    assert "no environment is locked" in ask("U0ADA", "locks").text


def test_an_operation_that_ends_before_it_began(ask, wall, store, config):
    id = ask("U0ADA", "deploy prod master").operation
    store.begin(id)
    store.append(id, "plan", Planned("deploy 5d6e7f8 to prod"))
    assert store.holder("prod").id == id
    wall.at -= 5 * HOUR
    assert "0 s" in ask("U0ADA", "locks").text
    store.end(id, "done", Done("prod runs 5d6e7f8"))
    assert store.holder("prod") is None, "what was held is free"
    history = ask("U0ADA", "history prod").text
    assert "deploy prod master" in history and not NEGATIVE.search(history)
    assert read(store, config).environments, "the board is shown"
    assert estimate(store.history("prod")) is None, "that was no measure"
    again = ask("U0ADA", "deploy prod master").operation
    assert store.begin(again).state == "mine", "the next one is let in"
    assert [o.id for o in store.history("prod")] == [again, id], "in the order of asking"


def test_a_second_delivery_is_known_whatever_the_clock_says(ask, wall, store):
    assert ask("U0ADA", "deploy prod master", id="trigger").ok
    assert store.once("cancel-delivery")
    for step in (3 * HOUR, -6 * HOUR, 2 * HOUR):
        wall.at += step
        assert ask("U0ADA", "deploy prod master", id="trigger").duplicate
        assert not store.once("cancel-delivery")
    assert len(store.history()) == 1


def test_a_night_is_not_said_again_when_the_clock_goes_back(config, dispatcher, store, wall):
    row = Schedule(name="nightly", at="30 2 * * *", say="status prod")
    permission = type(config.permissions[0])(who=("clock",), may=("status",))
    changed = {"schedule": (row,), "permissions": (*config.permissions, permission)}
    dispatcher.config = config.model_copy(update=changed)
    dispatcher.people.config = dispatcher.config
    clock = Clock(
        dispatcher.config, store, dispatcher, lambda: dt.datetime.fromtimestamp(wall.at, dt.UTC)
    )
    clock.catch_up(row)
    wall.at += 14.6 * HOUR  # 02:36
    clock.catch_up(row)
    for step in (-1 * HOUR, 0.95 * HOUR, -3 * HOUR, 3.2 * HOUR):
        wall.at += step
        clock.catch_up(row)
    assert [o.id for o in store.history()] == ["nightly:2026-11-24T02:30"]
    wall.at += 24 * HOUR  # set far ahead, over a night
    clock.catch_up(row)
    assert len(store.history()) == 2


def test_whether_a_worker_lives_is_no_matter_of_the_clock(store, wall, tmp_path):
    """On one machine a lock of the kernel says so; leases are counted by the monotonic clock."""
    import fcntl

    (tmp_path / "worker.lock").touch()
    with (tmp_path / "worker.lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for step in (9 * HOUR, -20 * HOUR):
            wall.at += step
            assert worker_lives(store, tmp_path, 15.0)
    assert not worker_lives(store, tmp_path, 15.0)


def test_no_time_is_negative():
    assert duration(-3600) == "0 s"
    one = Operation(1, "a", "deploy prod", "deploy", "prod", "ada", "slack", "done", 0.0, {})
    back = Operation(**{**vars(one), "started": 100.0, "finished": 40.0})
    well = Operation(**{**vars(one), "started": 100.0, "finished": 160.0})
    assert estimate([back, well, back]) == 60.0
