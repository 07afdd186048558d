"""Kills at random moments of every kind of command, some of them killed again while recovering."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from statistics import median

from tests.bench.table import Figure
from tests.e2e.people import Person
from tests.soak.blows import AtMoment
from tests.soak.bound import Bound
from tests.soak.points import figures, together
from tests.soak.turns import TURNS, Turn
from tests.soak.walk import Capacity, Walk, house, say


def measure(
    kills: int, again: int, kinds: Sequence[str] = (), seed: int = 0, minutes: float = 0
) -> Iterator[Figure]:
    """Kill so often in each kind of command, and so many of these again while they recover.

    A strike's moments come from the seed, its kind and its number, as parts of what the kind
    takes. With `minutes`, or by SIGTERM, it ends earlier.
    """
    bound = Bound(minutes)
    say(f"kills of seed {seed}")
    with house() as world:
        ada = Person("U0ADA", world)
        with Capacity(world.lab, "prod", 0) as capacity:
            walk = Walk(world, ada, capacity, say)
            turns = [TURNS[kind](world, ada) for kind in kinds or TURNS]
            walk.through(bound, random_kills(walk, turns, kills, again, seed))
    print(*walk.wrong, *capacity.broken[:20], sep="\n")
    yield from figures("kills", walk.strikes, {turn.name: kills for turn in turns})
    yield from together(walk, capacity)


def random_kills(
    walk: Walk, turns: Sequence[Turn], kills: int, again: int, seed: int
) -> Iterator[tuple[Turn, AtMoment, float | None]]:
    """Yield a kill of each turn after the other, and the second that follows some of them."""
    usual = {turn.name: turn.usual for turn in turns}
    for number in range(kills):
        for turn in turns:
            dice = random.Random(f"{seed} {turn.name} {number}")
            first = dice.random() * usual[turn.name]
            twice = number * again // kills != (number + 1) * again // kills
            # While it recovers: while the next bot starts, and while it goes on.
            second = 0.5 + dice.random() * median((2.0, usual[turn.name], 8.0))
            yield turn, AtMoment(first), second if twice else None
            made = walk.strikes[-1]
            if not made.reached:  # it was in peace: now it is known how long it takes
                usual[turn.name] = made.seconds
