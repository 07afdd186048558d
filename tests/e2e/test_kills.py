"""The bot killed at random moments of each kind of command, and again while it recovers.

`python -m tests.soak kills` does it hundreds of times; here are a few of the same strikes.
"""

from __future__ import annotations

import random

import pytest

from tests.e2e.people import Person
from tests.e2e.world import World
from tests.lab.invariants import Capacity
from tests.soak.blows import AtMoment
from tests.soak.turns import MINIMUM, TURNS
from tests.soak.walk import Walk, say

SEEDS = (1, 2)  # those of even ones are killed again while they recover
QUICK = ("prune", 1)  # the others are `make soak`'s
CASES = [(kind, seed) for kind in TURNS for seed in SEEDS]


@pytest.mark.parametrize(
    ("kind", "seed"),
    [pytest.param(*case, marks=[] if case == QUICK else [pytest.mark.soak]) for case in CASES],
)
def test_a_kill_at_a_random_moment_does_no_harm(world: World, ada: Person, kind: str, seed: int):
    dice = random.Random(f"{seed} {kind}")
    again = None if seed % 2 else dice.random() * 4
    with Capacity(world.lab, "prod", 0) as capacity:
        walk = Walk(world, ada, capacity, say)
        turn = TURNS[kind](world, ada)
        walk.strike(turn, AtMoment(dice.random() * turn.usual), again)
        if len(world.hosts.names("prodweb")) > MINIMUM:
            walk.in_peace(TURNS["scale down"](world, ada))
    walk.end()
    assert not walk.wrong, "\n".join(walk.wrong)
    assert not capacity.broken, "\n".join(capacity.broken)
