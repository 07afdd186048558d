"""Every named point of every command: killed there, or an answer lost, and no harm comes of it.

A command is run once in peace, and what it passes is named: its calls of AWS and of Slack, the
steps that the engine records, the tasks on hosts. Then it is run again for each of them, and struck
there: the bot is killed before or after; or only the answer of AWS is lost, or AWS does what it was
asked when the next bot is at work already; or all that the bot has started dies with it, as in a
reboot.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bench.table import Figure, none
from tests.e2e.people import Person
from tests.soak.blows import Blow, blows
from tests.soak.bound import Bound
from tests.soak.looking import counted
from tests.soak.turns import TURNS, Turn
from tests.soak.walk import Capacity, Strike, Walk, house, say

STRUCK = re.compile(r"(.+?): \w+, (?:recovered in|nobody was killed)")  # as the walk says it
RECOVERY = 60  # seconds from the restart of a bot to the end of what it found, on an idle machine
MOST = 0.9  # of the points: some are not passed in every run


def measure(
    kinds: Sequence[str] = (), seed: int = 0, minutes: float = 0, told: Sequence[Path] = ()
) -> Iterator[Figure]:
    """Walk through all points of these kinds of commands, in an order that the seed gives.

    With `minutes`, or by SIGTERM, it ends earlier. What it then has told, in these files, leaves
    out the points that were struck already: how many there are differs from run to run a little,
    since what is waited for is looked at more or less often.
    """
    dice, bound, known = random.Random(seed), Bound(minutes), struck(told)
    say(f"points of seed {seed}, {len(known)} of others")
    with house() as world:
        ada = Person("U0ADA", world)
        with Capacity(world.lab, "prod", 0) as capacity:
            walk = Walk(world, ada, capacity, say)
            found: list[tuple[Turn, list[Blow]]] = []
            for kind in kinds or TURNS:
                turn = TURNS[kind](world, ada)
                mine = list(blows(world, walk.in_peace(turn), walk.since, walk.heard))
                dice.shuffle(mine)
                left = [blow for blow in mine if f"{turn.name}: {blow}" not in known]
                say(f"{turn.name} has {len(mine)} points, {len(mine) - len(left)} struck before")
                found.append((turn, left))
            walk.through(bound, alternately(found))
    print(*walk.wrong, sep="\n")
    yield from figures(walk.strikes, {t.name: len(m) for t, m in found}, bound.over)
    yield none("broken invariants in all", len(walk.wrong), f"{len(walk.strikes)} strikes")
    yield from counted([capacity])


def struck(told: Sequence[Path]) -> set[str]:
    """Return the names of the points that were reached, by what was told of them."""
    lines = (line for file in told for line in file.read_text(errors="replace").splitlines())
    return {found[1] for line in lines if (found := STRUCK.match(line))}


def alternately(found: Sequence[tuple[Turn, list[Blow]]]) -> Iterator[tuple[Turn, Blow]]:
    """Yield a point of each kind in turn, until all have been: scaling up goes before down."""
    for number in range(max(len(mine) for _, mine in found)):
        for turn, mine in found:
            if number < len(mine):
                yield turn, mine[number]


def figures(strikes: Sequence[Strike], there: dict[str, int], cut: bool) -> Iterator[Figure]:
    """Say for each kind how many were struck, what broke, and the slowest recovery.

    Too few are a break, unless somebody wanted it `cut` short.
    """
    for kind, all_of in there.items():
        mine = [one for one in strikes if one.kind == kind and one.reached]
        broken = sum(bool(one.broken) for one in strikes if one.kind == kind)
        yield none(f"{kind}: points that broke something", broken, f"{len(mine)}")
        few, short = len(mine) < all_of, ", cut short" if cut else ""
        yield Figure(
            f"{kind}: points struck", f"{len(mine)}{short}", f"{MOST:.0%} of {all_of}", over=few,
            broken=len(mine) < MOST * all_of and not cut,
        )  # fmt: skip
        if took := [one.recovery for one in mine if one.recovery is not None]:
            slow = max(took)
            yield Figure(
                f"{kind}: slowest recovery", f"{slow:.1f} s", f"≤ {RECOVERY} s",
                broken=slow > RECOVERY,
            )  # fmt: skip
