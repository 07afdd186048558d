"""The clock fires each line once a night, through both clock changes and while nobody was there."""

import datetime as dt
import random
from zoneinfo import ZoneInfo

import pytest

from bot.config import Schedule
from bot.fronts.clock import Clock, newest_due, wrong


def scheduled(config, **row):
    rows = (Schedule(**{"name": "nightly", "at": "30 2 * * *", "say": "status prod", **row}),)
    permission = type(config.permissions[0])(who=("clock",), may=("status",))
    return config.model_copy(
        update={"schedule": rows, "permissions": (*config.permissions, permission)}
    )


@pytest.mark.parametrize(
    "zone", ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]
)
@pytest.mark.parametrize("at", ["30 2 * * *", "30 1 * * *"])
def test_one_run_a_night_over_both_clock_changes(zone, at):
    row = Schedule(name="nightly", at=at, say="status prod", zone=zone)
    start = dt.datetime(2026, 1, 1, 12, tzinfo=ZoneInfo(zone))
    names = set()
    seen = []
    for minutes in range(0, 400 * 24 * 60, 240):
        due = newest_due(row, start.astimezone(dt.UTC) + dt.timedelta(minutes=minutes))
        name = f"{due:%Y-%m-%dT%H:%M}" if due else None
        if name and name not in names:
            names.add(name)
            seen.append(name[:10])
    assert len(seen) == len(set(seen)), "two runs on one date"
    first = dt.date.fromisoformat(min(seen))
    assert len(seen) == (dt.date.fromisoformat(max(seen)) - first).days + 1, "a night without a run"


def test_three_replicas_with_random_downtime_run_each_night_once(config, dispatcher, store):
    config = scheduled(config, zone="Europe/Berlin")
    dispatcher.config, dispatcher.people.config = config, config
    now = [dt.datetime(2026, 10, 20, 12, tzinfo=dt.UTC)]
    clocks = [Clock(config, store, dispatcher, lambda: now[0]) for _ in range(3)]
    chance = random.Random(7)
    for clock in clocks:
        clock.catch_up(config.schedule[0])
    assert store.live() == [], "what was due before it was installed is not caught up"
    for _ in range(14 * 8):
        now[0] += dt.timedelta(hours=3)
        for clock in clocks:
            if chance.random() < 0.5:
                clock.catch_up(config.schedule[0])
    ids = [o.id for o in store.live()]
    assert ids == [f"nightly:2026-{d}T02:30" for d in _days(14)]


def _days(count):
    first = dt.date(2026, 10, 21)
    return [f"{first + dt.timedelta(days=n):%m-%d}" for n in range(count)]


def test_a_schedule_that_cannot_work_is_told_at_start(config, dispatcher):
    for row, word in (
        ({"at": "61 2 * * *"}, "at:"),
        ({"at": "0 0 30 2 *"}, "never fires"),
        ({"zone": "Europe/Nowhere"}, "no time zone"),
        ({"say": "prnue prod"}, "no command"),
        ({"say": "deploy prod"}, "clock may not deploy"),
    ):
        told = wrong(scheduled(config, **row), dispatcher_with(dispatcher, config, row))
        assert len(told) == 1 and word in told[0], told
    assert wrong(scheduled(config), dispatcher_with(dispatcher, config, {})) == []


def dispatcher_with(dispatcher, config, row):
    dispatcher.config = dispatcher.people.config = scheduled(config, **row)
    return dispatcher
