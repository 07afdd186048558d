"""What this process counts of itself; it knows nothing of ours, so that anything may count."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

ACK = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0)


@dataclass
class Buckets:
    """A histogram: how many were at most so much, each bound with all below it."""

    bounds: Sequence[float]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = self.counts or [0] * (len(self.bounds) + 1)

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def rows(self) -> list[tuple[str, float]]:
        """Return each bound as Prometheus writes it, with how many are at or below it."""
        found, below = list[tuple[str, float]](), 0
        for bound, count in zip([*map(str, self.bounds), "+Inf"], self.counts, strict=True):
            below += count
            found.append((bound, below))
        return found


class Counts:
    """What this process counts; any thread may."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.aws: Counter[tuple[str, ...]] = Counter()  # service, error
        self.slack: Counter[tuple[str, ...]] = Counter()  # method, how it went wrong
        self.acks: dict[str, Buckets] = {}

    def aws_error(self, service: str, error: str) -> None:
        with self._lock:
            self.aws[service, error] += 1

    def slack_error(self, method: str, kind: str) -> None:
        with self._lock:
            self.slack[method, kind] += 1

    def acked(self, kind: str, seconds: float) -> None:
        with self._lock:
            self.acks.setdefault(kind, Buckets(ACK)).add(seconds)

    def take_aws(self) -> Counter[tuple[str, ...]]:
        with self._lock:
            taken, self.aws = self.aws, Counter()
        return taken

    def give_back(self, taken: Counter[tuple[str, ...]]) -> None:
        """Count again what could not be put away."""
        with self._lock:
            self.aws.update(taken)


COUNTS = Counts()
