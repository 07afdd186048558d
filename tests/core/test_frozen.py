"""Freezes: until when people say, and the windows of the config."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from bot.adapters.calendar import Calendar, open_until, wrong
from bot.config import Window
from bot.errors import Misunderstood
from bot.frozen import until

ZONE = ZoneInfo("Europe/Vienna")
TUESDAY = dt.datetime(2026, 11, 24, 15, 30, tzinfo=ZONE)


@pytest.mark.parametrize(
    ("word", "at"),
    [
        ("36h", "2026-11-26T03:30"),
        ("2d", "2026-11-26T15:30"),
        ("17:00", "2026-11-24T17:00"),
        ("9:00", "2026-11-25T09:00"),
        ("friday", "2026-11-27T00:00"),
        ("Tuesday", "2026-12-01T00:00"),
        ("2026-12-27", "2026-12-27T00:00"),
        ("2026-12-27T08:00", "2026-12-27T08:00"),
    ],
)
def test_until_when_is_said_in_ones_own_time_zone(word, at):
    told = until(word, TUESDAY.timestamp(), ZONE)
    assert dt.datetime.fromtimestamp(told, ZONE).isoformat()[:16] == at


@pytest.mark.parametrize(
    "word", ["soon", "25:00", "2026-13-01", "2025-01-01", "0h", "-3h", "x" * 99]
)
def test_what_is_no_time_is_told_what_to_say(word):
    with pytest.raises(Misunderstood, match="say 36h, 17:00, friday"):
        raise_with_hint(word)


def raise_with_hint(word):
    try:
        until(word, TUESDAY.timestamp(), ZONE)
    except Misunderstood as error:
        raise Misunderstood(f"{error.text} {error.hint}") from None


WEEKEND = Window(at="0 16 * * fri", hours=64, zone="Europe/Vienna", reason="the weekend")


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-11-27T15:59", None),
        ("2026-11-27T16:00", "2026-11-30T08:00"),
        ("2026-11-29T12:00", "2026-11-30T08:00"),
        ("2026-11-30T08:01", None),
    ],
)
def test_a_window_is_open_from_its_cron_line_on(now, end):
    found = open_until(WEEKEND, dt.datetime.fromisoformat(now).replace(tzinfo=ZONE))
    assert (found and found.astimezone(ZONE).isoformat()[:16]) == end


def test_windows_that_overlap_are_one():
    nightly = Window(at="0 0 * * *", hours=30, reason="always")
    found = open_until(nightly, dt.datetime(2026, 11, 24, 3, tzinfo=dt.UTC))
    assert found == dt.datetime(2026, 11, 25, 6, tzinfo=dt.UTC), "the newest one has begun"


def test_the_calendar_names_the_reason(config):
    frozen = config.environments["prod"].model_copy(update={"freeze": (WEEKEND,)})
    told = config.model_copy(update={"environments": {**config.environments, "prod": frozen}})
    saturday = dt.datetime(2026, 11, 28, 12, tzinfo=ZONE)
    calendar = Calendar(told, lambda: saturday)
    assert calendar.frozen("prod").reason == "the weekend"
    assert calendar.frozen("puppystream") is None
    assert wrong(told) == []


@pytest.mark.parametrize("row", [{"at": "61 2 * * *"}, {"zone": "Europe/Nowhere"}])
def test_a_window_that_cannot_work_is_told_at_the_start(config, row):
    window = Window(**{"at": "0 0 * * *", "hours": 2, "reason": "x", **row})
    frozen = config.environments["prod"].model_copy(update={"freeze": (window,)})
    told = config.model_copy(update={"environments": {**config.environments, "prod": frozen}})
    assert len(wrong(told)) == 1 and wrong(told)[0].startswith("environments.prod.freeze.0")


def test_who_may_freezes_and_ends_it(ask, store):
    reply = ask("U0ADA", "freeze prod until 36h the shop is full", zone="Europe/Vienna")
    assert reply.ok and "prod is frozen until" in reply.text
    assert store.note("freeze", "prod")["reason"] == "the shop is full"
    assert not ask("U0BOB", "freeze puppystream until 1h x").ok
    assert not ask("U0ADA", "freeze prod for 36h x").ok
    assert not ask("U0ADA", "freeze prod until never x").ok
    assert ask("U0ADA", "unfreeze prod").ok
    assert not ask("U0ADA", "unfreeze prod").ok
