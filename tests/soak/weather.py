"""Weather: a share of all calls of AWS and Slack goes wrong, at random from a seed.

with Weather(lab, rate=0.1, seed=7) as weather: ...
print(weather.met())    # how many of each kind
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tests.lab.lab import Lab

AWS = ("throttle", "error", "cut", "lost", "slow")
SLACK = ("429", "500", "503", "dropped", "lost", "slow")
SECONDS = 0.5  # that the slow ones are late
HIDDEN = 2.0  # seconds for which what AWS has just made is not found, at most


@dataclass
class Weather:
    """Bad weather while it is entered."""

    lab: Lab
    rate: float
    seed: int
    faults: list[tuple[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = random.Random(f"{self.seed} at {self.rate}")
        # AWS and Slack live in threads of their own: neither may take the other's luck.
        self._aws, self._slack = (random.Random(self.dice.random()) for _ in range(2))

    def __enter__(self) -> Self:
        aws, slack = self.lab.aws, self.lab.slack
        aws.consistency = self.dice.random() * HIDDEN
        for share, kind in self._shares(AWS):
            chance = chancy(self._aws, share)
            fault: Any = aws.fault("*", kind, times=10**9, seconds=SECONDS, chance=chance)
            self.faults.append((f"AWS {kind}", fault))
        for share, kind in self._shares(SLACK):
            chance = chancy(self._slack, share)
            fault = slack.fault("*", kind, times=10**9, delay=SECONDS, chance=chance)
            self.faults.append((f"Slack {kind}", fault))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.lab.aws.faults.clear()
        self.lab.aws.consistency = 0.0
        self.lab.slack.clear_faults()

    def met(self) -> Counter[str]:
        """Return how many calls went wrong in each way."""
        counts = {name: getattr(f, "hits", 0) or getattr(f, "count", 0) for name, f in self.faults}
        return Counter({name: count for name, count in counts.items() if count})

    def sometimes(self, chance: float) -> bool:
        return self.dice.random() < chance

    def _shares(self, kinds: tuple[str, ...]) -> list[tuple[float, str]]:
        """Each kind's chance among the calls that those before it have let pass: all are alike."""
        each = self.rate / len(kinds)
        return [(each / (1 - number * each), kind) for number, kind in enumerate(kinds)]


def chancy(dice: random.Random, share: float) -> Callable[[], bool]:
    return lambda: dice.random() < share
