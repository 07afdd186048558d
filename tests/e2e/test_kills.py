"""The bot killed at random moments of each kind of command, and again while it recovers.

`python -m tests.soak kills` does it hundreds of times; here are a few of the same strikes.
"""

from __future__ import annotations

import random

import pytest

from tests.e2e.people import Person
from tests.e2e.world import World
from tests.lab.capacity import Capacity
from tests.soak.blows import AtMoment
from tests.soak.turns import MINIMUM, TURNS
from tests.soak.walk import Walk

SEEDS = (1, 2)  # those of even ones are killed again while they recover
QUICK = "prune"  # the others are `make soak`'s
CASES = [(kind, seed) for kind in TURNS for seed in SEEDS]
SOONER = (1.0, 0.5, 0.25, 0.12, 0.06)  # where it has ended before the blow, the next one is so


@pytest.mark.parametrize(
    ("kind", "seed"),
    [pytest.param(*case, marks=[] if QUICK in case else [pytest.mark.soak]) for case in CASES],
)
def test_a_kill_at_a_random_moment_does_no_harm(world: World, ada: Person, kind: str, seed: int):
    dice, said = random.Random(f"{seed} {kind}"), list[str]()
    with Capacity(world.lab, "prod", 0) as capacity:
        walk = Walk(world, ada, capacity, said.append)
        for share in SOONER:
            turn = TURNS[kind](world, ada)
            again = None if seed % 2 else dice.random() * 4 * share
            struck = walk.strike(turn, AtMoment(dice.random() * turn.usual * share), again)
            if fell := struck.reached and (again is None or struck.twice):
                break
        if len(world.hosts.names("prodweb")) > MINIMUM:
            walk.in_peace(TURNS["scale down"](world, ada))
    walk.end()
    assert not walk.wrong, "\n".join(walk.wrong)
    assert not capacity.broken, "\n".join(capacity.broken)
    assert fell, "\n".join(["it always ended before the blow:", *said])
