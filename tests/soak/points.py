"""Every named point of every command: killed there, or an answer lost, and no harm comes of it.

A command is run once in peace, and what it passes is named: its calls of AWS, the steps that the
engine records, the tasks on hosts. Then it is run again for each of them, and struck there: the bot
is killed before or after; or only the answer of AWS is lost, or AWS does what it was asked when the
next bot is at work already; or all that the bot has started dies with it, as in a reboot.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from tests.bench.table import Figure, none
from tests.e2e.people import Person
from tests.soak.blows import Blow, blows
from tests.soak.bound import Bound
from tests.soak.turns import TURNS, Turn
from tests.soak.walk import Capacity, Strike, Walk, house, say

RECOVERY = 60  # seconds from the restart of a bot to the end of what it found, on an idle machine


def measure(
    kinds: Sequence[str] = (), seed: int = 0, minutes: float = 0, skip: int = 0
) -> Iterator[Figure]:
    """Walk through all points of these kinds of commands, in an order that the seed gives.

    With `minutes`, or by SIGTERM, it ends earlier; `skip` leaves out so many of each kind.
    """
    dice, bound = random.Random(seed), Bound(minutes)
    say(f"points of seed {seed}, from {skip} on")
    with house() as world:
        ada = Person("U0ADA", world)
        with Capacity(world.lab, "prod", 0) as capacity:
            walk = Walk(world, ada, capacity, say)
            found: list[tuple[Turn, list[Blow]]] = []
            for kind in kinds or TURNS:
                turn = TURNS[kind](world, ada)
                mine = list(blows(world, walk.in_peace(turn), walk.since))
                dice.shuffle(mine)
                say(f"{turn.name} has {len(mine)} points")
                found.append((turn, mine[skip:]))
            walk.through(bound, alternately(found))
    print(*walk.wrong, *capacity.broken[:20], sep="\n")
    yield from figures(walk.strikes, {t.name: len(m) for t, m in found})
    yield from together(walk, capacity)


def alternately(found: Sequence[tuple[Turn, list[Blow]]]) -> Iterator[tuple[Turn, Blow]]:
    """Yield a point of each kind in turn, until all have been: scaling up goes before down."""
    for number in range(max(len(mine) for _, mine in found)):
        for turn, mine in found:
            if number < len(mine):
                yield turn, mine[number]


def figures(strikes: Sequence[Strike], there: dict[str, int]) -> Iterator[Figure]:
    """Say for each kind how many were struck, what broke, and the slowest recovery."""
    for kind, all_of in there.items():
        mine = [one for one in strikes if one.kind == kind and one.reached]
        broken = sum(bool(one.broken) for one in strikes if one.kind == kind)
        yield none(f"{kind}: points that broke something", broken, f"{len(mine)} ({all_of} wanted)")
        if took := [one.recovery for one in mine if one.recovery is not None]:
            slow = max(took)
            yield Figure(
                f"{kind}: slowest recovery", f"{slow:.1f} s", f"≤ {RECOVERY} s", slow > RECOVERY
            )


def together(walk: Walk, capacity: Capacity) -> Iterator[Figure]:
    """Say what is told of all strikes together."""
    yield none("broken invariants in all", len(walk.wrong), f"{len(walk.strikes)} strikes")
    few = len(capacity.broken)
    yield none("samples below the minimum", few, f"{len(capacity.samples)}")
