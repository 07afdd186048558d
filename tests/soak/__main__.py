"""Soak: deploys and bad builds under load, through the real bot, hosts and balancer; and kills.

    python -m tests.soak [deploys|badbuilds|points|rotations|scaling] [--times 2]
           [--deploys 10] [--requests 20000] [--rotations 50]

Prints a table; the exit status is 1 where a request failed, a bad build got further than it may,
or a copy is not like its master.
"""

from __future__ import annotations

import argparse
import sys

from tests.bench.table import show
from tests.soak import badbuilds, deploys, points, rotations, scaling


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("which", nargs="*", help="all of them where nothing is said")
    parser.add_argument("--deploys", type=int, default=10)
    parser.add_argument("--rotations", type=int, default=50)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--times", type=int, default=2, help="each bad build, and up and down")
    given = parser.parse_args()
    measures = {
        "deploys": lambda: deploys.measure(given.deploys, given.requests),
        "badbuilds": lambda: badbuilds.measure(given.times),
        "points": points.measure,
        "rotations": lambda: rotations.measure(given.rotations),
        "scaling": lambda: scaling.measure(given.times),
    }
    if unknown := set(given.which) - set(measures):
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(measures)}")
    return show(measures, given.which or list(measures))


if __name__ == "__main__":
    sys.exit(main())
