"""Who is dead: silent for too long, while somebody else was heard."""

from __future__ import annotations

import pytest

from bot import alive
from bot.schema import workers
from bot.store import Store

LEASE = 10.0


@pytest.fixture
def heard(store: Store):
    """Say from when to when workers were heard, in seconds before now; return the dead ones."""

    now = store.now()
    store.now = lambda: now

    def say(**spans: tuple[float | None, float]) -> list[str]:
        for name, (since, beat) in spans.items():
            row = {"id": name, "beat": now - beat, "since": since and now - since}
            store.transact(lambda c, row=row: c.execute(workers.insert().values(row)))
        return store.transact(lambda c: alive.dead(c, store, LEASE))

    return say


def test_one_is_silent_while_another_is_heard(heard):
    assert heard(one=(90, 16), two=(90, 1)) == ["one"]


def test_silent_for_less_than_a_lease_and_a_half_is_late_and_not_dead(heard):
    assert heard(one=(90, 14), two=(90, 1)) == []


def test_after_an_outage_of_the_database_nobody_is_dead(heard):
    assert heard(one=(90, 20), two=(90, 20), three=(2, 1)) == []


def test_each_lived_only_for_seconds_and_one_after_the_other_was_heard(heard):
    short = {"b": (18, 12), "c": (13, 10), "d": (7, 4), "e": (3, 0)}
    assert heard(a=(60, 17), **short) == ["a"]


def test_a_gap_between_two_of_them_may_have_been_an_outage(heard):
    assert heard(a=(60, 17), b=(18, 12), e=(3, 0)) == []


def test_a_worker_of_the_version_before_says_nothing_of_others(heard):
    assert heard(one=(90, 16), old=(None, 1)) == []


def test_who_beats_in_time_was_there_all_the_while_and_who_is_late_begins_anew(store):
    def row(beat: float, since: float | None) -> float:
        values = {"id": "me", "beat": now - beat, "since": since and now - since}
        store.transact(lambda c: c.execute(workers.delete()))
        store.transact(lambda c: c.execute(workers.insert().values(values)))
        store.transact(lambda c: alive.beat(c, store, "me", LEASE))
        found = store.transact(lambda c: c.execute(workers.select()).one())
        assert found.beat >= now
        return float(found.since)

    now = store.now()
    assert row(beat=2, since=50) == pytest.approx(now - 50)
    assert row(beat=8, since=50) >= now
    assert row(beat=2, since=None) >= now
