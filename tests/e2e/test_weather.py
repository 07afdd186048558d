"""One day in bad weather, and half a minute without Slack; `make soak` has many and ten minutes."""

from __future__ import annotations

import pytest

from tests.e2e.people import Person
from tests.soak import faulty, outage
from tests.soak.houses import small_house

RATE, SEED = 0.05, 20261128


@pytest.mark.soak
def test_a_day_in_which_calls_fail():
    with faulty.house() as world:
        day = faulty.Day(world, RATE, SEED).passes()
    assert not day.broken, "\n".join(day.broken)
    assert not day.gave_up, "\n".join(day.gave_up)
    assert {"AWS lost", "AWS throttle", "Slack 503", "Slack lost"} <= set(day.met), day.met


@pytest.mark.soak
def test_slack_is_away_altogether():
    with small_house(outage.FLEET) as world:
        away = outage.Outage(world, Person("U0ADA", world), outage.branches(world))
        away.passes(30)
        states = {operation.state for operation in away.operations()}
    assert states == {"done"}
    assert not away.wrong, "\n".join(away.wrong)
    assert away.again <= away.lost
    assert max(away.late.values()) <= outage.SOON
