"""A whole operation in Slack beside a bare `ansible-playbook` of the same playbook.

They take turns on the same hosts, each with a commit of its own, so that both do the same work and
a busy moment meets both. Mitogen has hosts of its own, and the same turns.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

from bot.adapters.ansible import playbooks
from tests.bench import mitogen
from tests.bench.asked import Asker, new_commit
from tests.bench.bare import Bare
from tests.bench.bot import Bot
from tests.bench.spent import spent
from tests.bench.table import Figure, spread, within
from tests.lab.lab import Lab

LIMIT = 1.1
SMALL = {"prod": {"web": 2, "celery": 1, "manager": 1}}
LARGE = {"prod": {"web": 4, "celery": 2, "manager": 1}}


class World:
    """One lab with its bot, and what was measured there."""

    def __init__(self, stack: ExitStack, fleet: Any, strategy: str = "linear") -> None:
        more: Mapping[str, str] = {}
        if strategy != "linear":
            more = {"PYTHONPATH": str(mitogen.PLACE)}
        config = {"ansible": {"strategy": strategy}}
        self.lab = stack.enter_context(Lab(fleet=fleet, config=config))
        self.bot = stack.enter_context(Bot(self.lab, more))
        self.asker = Asker(self.lab, self.bot)
        stack.callback(self.asker.close)
        self.bare = Bare(self.lab, strategy, more)
        self.whole, self.plain = list[float](), list[float]()
        self.parts: dict[str, list[float]] = {}
        self._commits = 0

    def turn(self, counts: bool = True) -> str:
        """Let each have its turn; what a first turn takes longer does not count."""
        self._commit()
        ended = self.asker.deploy("master")
        self.asker.wait_idle()
        if ended.state != "done":
            raise RuntimeError(f"the deploy ended as {ended.state}:\n{ended.thread}")
        last = self.asker.store.releases.newest("prod")[0]
        variables = {
            "commit": self._commit(),
            "release": last.number,
            "packlead_operation": ended.operation.id,
            "packlead_epoch": ended.operation.number,
            "packlead_max_fail": 0,
        }
        ran = self.bare.run(playbooks() / "deploy.yml", variables)
        if counts:
            self.whole.append(ended.seconds)
            self.plain.append(ran.seconds)
            for name, value in spent(ended, self.bot.data).items():
                self.parts.setdefault(name, []).append(value)
        return f"operation {ended.seconds:.2f} s, bare {ran.seconds:.2f} s"

    def figures(self, title: str) -> Iterator[Figure]:
        yield Figure(f"{title}: the operation", spread(self.whole))
        yield Figure(f"{title}: bare ansible-playbook", spread(self.plain))
        yield within(f"{title}: operation ÷ bare", [ratio(self.whole, self.plain)], LIMIT, 2)

    def _commit(self) -> str:
        self._commits += 1
        return new_commit(self.lab, self._commits)


def measure(runs: int) -> Iterator[Figure]:
    """A small fleet and a larger one; where the seconds go; and both ways by Mitogen."""
    with ExitStack() as stack:
        small = World(stack, SMALL)
        worlds = {"4 hosts": small}
        if mitogen.fetched():
            worlds["Mitogen"] = World(stack, SMALL, "mitogen_linear")
        troubles = turns(worlds, runs)
    yield from small.figures("e. 4 hosts")
    for name, values in small.parts.items():
        yield Figure(f"e.   {name}", spread(values))
    quick = worlds.get("Mitogen")
    with ExitStack() as stack:
        large = World(stack, LARGE)
        turns({"7 hosts": large}, runs)
    yield from large.figures("e. 7 hosts")
    title = f"e. Mitogen {mitogen.VERSION}"
    if quick is None:
        yield Figure(title, "could not be fetched")
    elif "Mitogen" in troubles:
        yield Figure(title, "does not work, see above")
    else:
        yield from quick.figures(f"{title}, 4 hosts")
        for what, by, without in (
            ("the operation", quick.whole, small.whole),
            ("bare", quick.plain, small.plain),
        ):
            yield Figure(f"{title}: {what} ÷ without Mitogen", f"{ratio(by, without):.2f}")


def turns(worlds: Mapping[str, World], runs: int) -> set[str]:
    """Let the worlds take turns; return those in which a turn did not end well."""
    broken = set[str]()
    for number in range(runs + 1):
        for name, world in worlds.items():
            if name in broken:
                continue
            try:
                said = world.turn(counts=number > 0)
            except RuntimeError as error:
                if name != "Mitogen":
                    raise
                broken.add(name)
                said = str(error)
            print(f"{name}, {f'turn {number}' if number else 'to warm up'}: {said}", flush=True)
    return broken


def ratio(one: list[float], other: list[float]) -> float:
    return statistics.median(one) / statistics.median(other)
