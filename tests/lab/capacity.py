"""Never fewer than the minimum serve: counted by samples, all the time.

    with Capacity(lab, "prod", least=2) as seen: ...
    assert not seen.broken

Each sample is what the balancer says at that moment, and what those hosts then answer.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Self

from tests.lab.aws import PEEK
from tests.lab.beside import Beside
from tests.lab.fleet import PORT
from tests.lab.lab import Lab

PERIOD = 0.1  # seconds between two samples of the capacity
PATIENCE = 5.0  # seconds after which a host that gives no answer does not serve


def answer(address: str) -> str:
    """Return the commit of which a web host itself says that it serves it."""
    connection = http.client.HTTPConnection(address, PORT, timeout=PATIENCE)
    try:
        connection.request("GET", "/healthz")
        told = connection.getresponse()
        return str(json.loads(told.read())["commit"]) if told.status == 200 else "nothing"
    except (OSError, http.client.HTTPException):
        return "nothing"
    finally:
        connection.close()


@dataclass(frozen=True)
class Sample:
    at: float
    served: tuple[str, ...]  # addresses to which the balancer sends, and which answered
    least: int  # that must, by then


@dataclass
class Capacity(Beside):
    """Counts, ten times a second, the web hosts that the balancer sends to and that do answer.

    `least` may be set to another number meanwhile: it holds for what is seen from then on. `period`
    is in seconds; a busy machine may look more seldom, which `gap` says.
    """

    lab: Lab
    environment: str
    least: int
    period: float = PERIOD
    samples: list[Sample] = field(default_factory=list)
    blind: list[tuple[float, str]] = field(default_factory=list)  # when nobody could look, and why
    marks: list[tuple[float, str]] = field(default_factory=list)
    began: float = 0.0
    ended: float = 0.0

    def __enter__(self) -> Self:
        elb = self.lab.aws.client("elbv2", PEEK)
        [group] = elb.describe_target_groups(Names=[f"{self.environment}-web"])["TargetGroups"]
        self._group, self._known = str(group["TargetGroupArn"]), dict[str, str]()
        self._pool = ThreadPoolExecutor(64, "capacity")
        self.began = time.monotonic()
        self.turn()  # not only when a period has passed
        return super().__enter__()

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._pool.shutdown()  # after the last answers
        self.ended = time.monotonic()

    @property
    def lowest(self) -> int:
        return min((len(sample.served) for sample in self.samples), default=0)

    @property
    def gap(self) -> float:
        """The longest time between two samples, in seconds: for so long nobody looked."""
        ats = sorted(sample.at for sample in self.samples)
        ends = self.ended or time.monotonic()
        return max(later - at for at, later in pairwise([self.began, *ats, ends]))

    @property
    def broken(self) -> list[str]:
        """Say when there were too few, or nobody could look; no sample at all is too few too."""
        if not self.samples and not self.blind:
            return ["the capacity was never seen"]
        few = [
            (sample.at, f"only {', '.join(sample.served) or 'nobody'} served {self.environment}, "
             f"{sample.least} must")
            for sample in self.samples if len(sample.served) < sample.least
        ]  # fmt: skip
        return [
            f"{at - self.began:.1f} s from the start {what}{self._during(at)}"
            for at, what in sorted([*few, *self.blind])
        ]

    def mark(self, what: str) -> None:
        """Say what begins now, for the sentences about what is broken then."""
        self.marks.append((time.monotonic(), what))

    def _during(self, at: float) -> str:
        before = [what for since, what in self.marks if since <= at]
        return f" ({before[-1]})" if before else ""

    def turn(self) -> None:
        self._pool.submit(self._look)

    def _look(self) -> None:
        at, least = time.monotonic(), self.least
        try:
            self.samples.append(Sample(at, self._served(), least))
        except Exception as error:  # a future would keep it to itself
            self.blind.append((at, f"nobody could look at {self.environment}: {error!r}"))

    def _served(self) -> tuple[str, ...]:
        states = self.lab.balancer.health(self._group)
        sent = [self._address(id) for id, (state, _) in states.items() if state == "healthy"]
        # At the same time: one that hangs must not make the others look late.
        return tuple(sorted(each for each in self._answers(sent) if each))

    def _answers(self, addresses: list[str]) -> Iterator[str]:
        with ThreadPoolExecutor(max(1, len(addresses))) as pool:
            for address, told in zip(addresses, pool.map(answer, addresses), strict=True):
                yield address if told != "nothing" else ""

    def _address(self, id: str) -> str:
        if id not in self._known:
            found = self.lab.aws.client("ec2", PEEK).describe_instances(InstanceIds=[id])
            row = found["Reservations"][0]["Instances"][0]
            self._known[id] = str(row.get("PrivateIpAddress", id))
        return self._known[id]
