"""Eight more instances beside one more: they come up together, so it takes hardly longer.

Held constant: the boot of a host, BOOT seconds from its launch until one can log in, in which all
that the lab itself does for it (disk, supervisor, application) is done. Not held: what hosts do
after that. Eight real hosts have processors of their own; these share those of this machine with
the bot, so their part of the work is told, in seconds of processor. The image is the one of the
last deploy, as it is on most days.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from bot.events import StepEnded, StepStarted
from tests.bench.asked import Asker, Deploy, new_commit
from tests.bench.bot import Bot
from tests.bench.table import Figure, spread, within
from tests.lab.lab import Lab

LIMIT = 1.5
BOOT = 20.0
WAYS = {1: 3, 8: 10}  # how many come, and to how many web hosts that leads from two
PARTS = ("plan", "launch", "reach", "prepare", "join", "tell")
TICK = 1 / os.sysconf("SC_CLK_TCK")


def measure(runs: int) -> Iterator[Figure]:
    """Let one more and eight more take turns, with as many hosts in between as before."""
    times: dict[int, list[float]] = {n: [] for n in WAYS}
    parts = {n: {name: list[float]() for name in PARTS} for n in WAYS}
    work: dict[int, list[float]] = {n: [] for n in WAYS}
    with Lab() as lab, Bot(lab) as bot:
        asker = Asker(lab, bot)
        new_commit(lab, 0)
        well(asker.deploy("master"))
        asker.wait_idle()  # its image is made
        well(asker.end(asker.say("/scale", "prod web 3")))  # what is slow only the first time
        back(asker)
        lab.machines.boot_seconds = BOOT
        for more, number in [way for _ in range(runs) for way in WAYS.items()]:
            with Processors(lab) as used:
                ended = well(asker.end(asker.say("/scale", f"prod web {number}")))
            times[more].append(ended.seconds)
            work[more].append(used.seconds)
            for name, value in spent(ended).items():
                parts[more][name].append(value)
            told = ", ".join(f"{name} {parts[more][name][-1]:.1f}" for name in PARTS)
            print(f"2 to {number}: {ended.seconds:.1f} s ({told})", flush=True)
            lab.machines.settle()
            back(asker, most=more > 2)
        asker.close()
    one, many = times.values()
    yield Figure("b. a boot, from the launch until ssh answers", f"{BOOT:.0f} s, held")
    for more, number in WAYS.items():
        title = f"b. 2 to {number}, from the command to the final card"
        yield Figure(title, spread(times[more], 1))
        for name in PARTS:
            yield Figure(f"b.   {name}", spread(parts[more][name], 1))
        yield Figure("b.   of it the hosts' own processor time, not held", spread(work[more], 1))
    ratio = statistics.median(many) / statistics.median(one)
    yield within("b. 2 to 10 ÷ 2 to 3", [ratio], LIMIT, 2)


def spent(ended: Deploy) -> dict[str, float]:
    """Return the seconds of each part, from the log's own times; Ansible's start is in `launch`."""
    begun = {e.event.step: e.at for e in ended.entries if isinstance(e.event, StepStarted)}
    last = max(entry.at for entry in ended.entries if isinstance(entry.event, StepEnded))
    moments = [ended.asked, *(begun[name] for name in PARTS[1:-1]), last, ended.shown]
    return {name: moments[n + 1] - moments[n] for n, name in enumerate(PARTS)}


def back(asker: Asker, most: bool = False) -> None:
    """Go back to two; where most of them go it is asked about, and answered with yes."""
    asked = asker.say("/scale", "prod web 2")
    well(asker.end(asker.approve(asked) if most else asked))
    asker.wait_idle()
    asker.lab.machines.settle()


def well(ended: Deploy) -> Deploy:
    if ended.state != "done":
        raise RuntimeError(f"{ended.operation.line} is {ended.state}:\n{ended.thread}")
    return ended


class Processors:
    """The processor time of the hosts' processes from their boot's end to the end of a `with`."""

    def __init__(self, lab: Lab) -> None:
        self._lab, self._over = lab, threading.Event()
        self._first: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self._watch = threading.Thread(target=self._look)

    def __enter__(self) -> Processors:
        self._begun = time.monotonic()
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watch.join()

    @property
    def seconds(self) -> float:
        return sum(self._last.values()) - sum(self._first.values())

    def _look(self) -> None:
        while not self._over.wait(0.5):
            booting = time.monotonic() < self._begun + BOOT
            for name in self._lab.machines.addresses:
                self._last[name] = of_tree(self._lab.machines.host(name).pid)
                if booting:
                    self._first[name] = self._last[name]


def of_tree(pid: int) -> float:
    """Return the processor time of a process and all below it, those that have ended included."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0  # it has just ended
    return sum(map(int, stat[11:15])) * TICK + sum(of_tree(int(child)) for child in children)
