"""Bench: what Packlead costs, and what it saves.

    python -m tests.bench [pages|pruning|push|roll|rollback|rotation|overhead|inventory|
           scaling|acks|idle|fleet] [--runs 3]

Prints a table; the exit status is 1 where something is lost that may never be, and where a figure
could not be measured. A ratio or a size above what is wanted is only marked.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator

from tests.bench import (
    acks,
    fleet,
    idle,
    overhead,
    pages,
    pruning,
    push,
    roll,
    rollback,
    rotation,
    scaling,
)
from tests.bench.bot import ROOT
from tests.bench.inventory import LIMIT
from tests.bench.table import Figure, show

LINE = re.compile(r"^f: +(\d+) instances: (.*): ratio ([\d.]+)", re.MULTILINE)
LIMITED = "1000"  # of the sizes, the one that has a limit


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("which", nargs="*", help="all of them where nothing is said")
    parser.add_argument("--runs", type=int, default=3, help="of each, for the medians")
    parser.add_argument("--hosts", default="10,100,300,1000", help="sizes of the fleet")
    given = parser.parse_args()
    measures = {
        "idle": lambda: idle.measure(max(given.runs, 5)),
        "acks": lambda: acks.measure(given.runs),
        "fleet": lambda: fleet.measure(given.runs, [int(size) for size in given.hosts.split(",")]),
        "inventory": lambda: inventory(given.runs),
        "pages": lambda: pages.measure(given.runs),
        "pruning": lambda: pruning.measure(500),
        "push": lambda: push.measure(max(given.runs, 5)),
        "roll": lambda: roll.measure(given.runs),
        "rollback": lambda: rollback.measure(given.runs),
        "rotation": lambda: rotation.measure(given.runs),
        "overhead": lambda: overhead.measure(given.runs),
        "scaling": lambda: scaling.measure(max(given.runs, 2)),
    }
    if unknown := set(given.which) - set(measures):
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(measures)}")
    return show(measures, given.which or list(measures))


def inventory(runs: int) -> Iterator[Figure]:
    """Figure f, which prints its own lines."""
    words = [sys.executable, "-m", "tests.bench.inventory", "--runs", str(runs)]
    ran = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    for size, times, ratio in LINE.findall(ran.stdout):
        wanted = LIMIT if size == LIMITED else None
        over = wanted is not None and float(ratio) > wanted
        name = f"f. inventory of {size} instances, ours ÷ the plugin's"
        yield Figure(name, f"{ratio} ({times})", f"≤ {wanted}" if wanted else "", over)
    if ran.returncode:
        yield Figure("f. inventory", ran.stdout.strip()[-300:], broken=True)


if __name__ == "__main__":
    sys.exit(main())
