"""What web hosts really serve, asked past the balancer; and how many do, everywhere."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterator
from urllib.request import urlopen

from tests.bench.table import Figure, none
from tests.lab.capacity import PERIOD, Capacity
from tests.lab.lab import Lab

GAP = 1.0  # seconds; whoever serves nobody for less may go unseen


def serving(lab: Lab, environment: str = "prod") -> dict[str, str]:
    """Return the commit that each web host answers with."""
    commits = {}
    for name in lab.fleet.health(environment):
        with urlopen(f"http://{lab.hosts[name]}:8000/healthz", timeout=10) as answer:
            commits[name] = str(json.load(answer)["commit"])
    return commits


@contextlib.contextmanager
def capacities(
    lab: Lab, environments: Collection[str], least: int
) -> Iterator[dict[str, Capacity]]:
    """Count in each environment; all together look twice as often as one alone."""
    period = PERIOD * max(1, len(environments) / 2)
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(Capacity(lab, name, least, period)) for name in environments
        }


def counted(
    seen: Collection[Capacity], below: str = "samples below the minimum"
) -> Iterator[Figure]:
    """Say how many samples were too few, and for how long nobody looked."""
    few = [sentence for each in seen for sentence in each.broken]
    print(*few[:20], sep="\n")
    yield none(below, len(few), f"{sum(len(each.samples) for each in seen)}")
    yield longest(max(each.gap for each in seen))


def longest(gap: float, name: str = "longest between two samples of one environment") -> Figure:
    """Say for how many seconds nobody looked: a slow machine is no break, but has seen less."""
    return Figure(name, f"{gap:.1f} s", f"≤ {GAP:g} s", gap > GAP)
