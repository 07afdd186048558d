"""Soak: deploys and bad builds under load, through the real bot, hosts and balancer; and kills.

    python -m tests.soak [deploys|badbuilds|points|kills|rotations|scaling|faulty|outage|workers]
           [--times 2] [--deploys 10] [--requests 20000] [--rotations 50]
           [--seeds 20] [--rates 0.01 0.1] [--minutes 10]
    python -m tests.soak points --kind deploy --seed 7 --minutes 5 [--told FILE …]
    python -m tests.soak workers --operations 100 --seed 7 --minutes 40 [--every 2]
    python -m tests.soak kills --kills 200 --again 50 --kind deploy --kind prune --seed 7

Prints a table; the exit status is 1 where a request failed, a bad build got further than it may, a
copy is not like its master, an invariant was broken, a bot took longer than it may to recover, or
less was done than was wanted and nobody had cut it short.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

from tests.bench.table import show
from tests.soak import (
    badbuilds,
    deploys,
    faulty,
    kills,
    outage,
    points,
    rotations,
    scaling,
    workers,
)
from tests.soak.turns import TURNS


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("which", nargs="*", help="all of them where nothing is said")
    parser.add_argument("--deploys", type=int, default=10)
    parser.add_argument("--rotations", type=int, default=50)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--times", type=int, default=2, help="each bad build, and up and down")
    parser.add_argument(
        "--minutes", type=float, default=0,
        help="outage: how long Slack is away, 10; faulty: when no day is begun any more, 180; "
        "points and kills: when none is begun any more, never; workers: that all may take, 40",
    )  # fmt: skip
    parser.add_argument("--seeds", type=int, default=20, help="days in bad weather, at each rate")
    parser.add_argument("--rates", type=float, nargs="*", default=[0.01, 0.1], help="of failures")
    parser.add_argument("--operations", type=int, default=100, help="while workers are killed")
    parser.add_argument("--every", type=float, default=2.0, help="seconds between kills of workers")
    parser.add_argument(
        "--kills", type=int, default=200, help="times that each kind of command is struck"
    )
    parser.add_argument("--again", type=int, default=50, help="of these, again while recovering")
    parser.add_argument("--kind", action="append", choices=list(TURNS), help="of command; or all")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    parser.add_argument("--skip", type=int, default=0, help="so many days of faulty")
    parser.add_argument(
        "--told", type=Path, nargs="*", default=[], help="what points has told: these are left out"
    )
    given = parser.parse_args()
    measures = {
        "deploys": lambda: deploys.measure(given.deploys, given.requests),
        "badbuilds": lambda: badbuilds.measure(given.times),
        "points": lambda: points.measure(given.kind or (), given.seed, given.minutes, given.told),
        "kills": lambda: kills.measure(
            given.kills, given.again, given.kind or (), given.seed, given.minutes
        ),
        "rotations": lambda: rotations.measure(given.rotations),
        "scaling": lambda: scaling.measure(given.times),
        "faulty": lambda: faulty.measure(given.rates, given.seeds, given.minutes, given.skip),
        "outage": lambda: outage.measure(given.minutes or 10),
        "workers": lambda: workers.measure(
            given.operations, given.seed, given.minutes or 40, given.every
        ),
    }
    if unknown := set(given.which) - set(measures):
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(measures)}")
    return show(measures, given.which or list(measures))


if __name__ == "__main__":
    sys.exit(main())
