"""The clock fires each line once a night, through both clock changes and while nobody was there."""

import datetime as dt
import random
from zoneinfo import ZoneInfo

import pytest

from bot.config import Schedule
from bot.dispatcher import Request
from bot.fronts.clock import Clock, Times, newest_due, wrong
from bot.people import Who

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]


def scheduled(config, **row):
    rows = (Schedule(**{"name": "nightly", "at": "30 2 * * *", "say": "status prod", **row}),)
    permission = type(config.permissions[0])(who=("clock",), may=("status",))
    return config.model_copy(
        update={"schedule": rows, "permissions": (*config.permissions, permission)}
    )


@pytest.mark.parametrize("zone", ZONES)
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


@pytest.mark.parametrize("zone", ZONES)
def test_three_replicas_with_random_downtime_run_each_of_400_nights_once(
    zone, config, dispatcher, store
):
    """Each replica goes and comes as chance will; the night is said at its time or caught up."""
    config = scheduled(config, zone=zone)
    row = config.schedule[0]
    dispatcher.config, dispatcher.people.config = config, config
    now = [dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)]
    clock = Clock(config, store, dispatcher, lambda: now[0])
    clock.catch_up(row)
    assert store.live() == [], "what was due before it was installed is not caught up"
    chance = random.Random(f"seed of {zone}")
    nights = [at for n in range(400) if (at := _night(n, zone)) > now[0]]
    expected, up = [], dict.fromkeys(range(3), True)
    for night, following in zip(
        nights, [*nights[1:], nights[-1] + dt.timedelta(days=1)], strict=True
    ):
        said = False
        for replica in up:
            up[replica] = chance.random() < 0.4  # whether it lives when the hour strikes
            if up[replica]:
                now[0] = night + dt.timedelta(milliseconds=chance.randrange(900))
                Clock(config, store, dispatcher, lambda: now[0]).catch_up(row)
                said = True
        returning = [r for r in up if not up[r] and chance.random() < 0.7]
        for _ in returning:  # it starts at some time before the next night, and catches up
            now[0] = night + (following - night) * chance.uniform(0.01, 0.99)
            Clock(config, store, dispatcher, lambda: now[0]).catch_up(row)
            said = True
        if said:
            expected.append(f"nightly:{night.astimezone(ZoneInfo(zone)):%Y-%m-%d}")
    assert [o.id.partition("T")[0] for o in store.live()] == expected
    assert 320 < len(expected) < 400, "chance left nights at which nobody ever was there"


def _night(number, zone):
    local = dt.datetime(2026, 1, 2, 2, 30) + dt.timedelta(days=number)
    return newest_due(
        Schedule(name="nightly", at="30 2 * * *", say="status prod", zone=zone),
        (local.replace(tzinfo=ZoneInfo(zone)) + dt.timedelta(hours=6)).astimezone(dt.UTC),
    ).astimezone(dt.UTC)


def test_the_schedule_says_when_next_in_the_time_zone_of_who_reads(config, dispatcher, store):
    config = scheduled(config, zone="America/New_York")
    dispatcher.config, dispatcher.people.config = config, config
    who = Who("slack", "U0ADA", "T0LAB", zone="Asia/Kolkata")
    assert "no clock runs" in dispatcher.ask(Request("1", "schedule", who)).text
    now = dt.datetime.fromtimestamp(store.now(), dt.UTC)
    Clock(config, store, dispatcher, lambda: now).catch_up(config.schedule[0])
    told = dispatcher.ask(Request("2", "schedule", who)).text
    coming = Times(config.schedule[0]).get_next_fire_time(None, now).astimezone(ZoneInfo(who.zone))
    assert (
        f"{coming:%a %d %b %H:%M} IST" in told and "(30 2 * * * America/New_York; not yet" in told
    )


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
