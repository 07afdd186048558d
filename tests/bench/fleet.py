"""A deploy to a fleet in memory: seconds and memory, by hosts and by workers.

The hosts take no time of their own (tests/bench/hosts.py), so this is what Packlead and Ansible
take: processor, which workers on one machine share, and memory, which each has for itself.
"""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa

import commands
from bot.command import find
from bot.config_file import load
from bot.dispatcher import Dispatcher, Request
from bot.events import StepEnded, StepStarted
from bot.people import Who
from bot.schema import workers as beats
from bot.store import Operation, Store
from tests.bench.asked import new_commit
from tests.bench.bot import ROOT, environment
from tests.bench.hosts import PORT
from tests.bench.table import Figure, spread
from tests.lab.beside import Beside
from tests.lab.fleet import crowd_of
from tests.lab.lab import Lab
from tests.lab.leashed import LEASH, Leashed

SIZES = (10, 100, 300, 1000)
SHARD = 200
WHOLE = 10**6  # so many that nothing is sharded
ONCE = 300  # hosts from which on each is measured once: it takes minutes
NETWORK = "127.50.0.0/16"
PLUGINS = Path(__file__).with_name("memory")
SECONDS = 1800  # for one deploy
LOOK = 0.5  # seconds between two looks at the memory


@dataclass(frozen=True)
class Ran:
    """One deploy: seconds of it and of its first step; megabytes at their highest (PSS)."""

    seconds: float
    prepare: float
    all: float  # of all workers together, with their playbooks
    most: float  # of the one that had most
    events: int  # in the log


def measure(
    runs: int, sizes: Sequence[int] = SIZES, workers: Sequence[int] = (1, 2, 4)
) -> Iterator[Figure]:
    """Deploy to fleets of each size, by one worker in one run, and by several in shards."""
    from tests.lab.postgres import Postgres

    with Postgres() as server:
        for size in sizes:
            ways = [(n, SHARD) for n in workers]
            if size > SHARD:
                ways.insert(0, (1, WHOLE))
            with Fleet(size) as fleet:
                for number, shard in ways:
                    with House(fleet, server.database(), number, shard) as house:
                        times = 1 if size >= ONCE else runs
                        ran = [house.deploy(n + 1) for n in range(times)]
                    yield from figures(size, number, shard, ran)


def figures(size: int, workers: int, shard: int, ran: Sequence[Ran]) -> Iterator[Figure]:
    """Return the rows; tests/bench/plot.py reads them."""
    by = f"{workers} worker{'s' if workers > 1 else ''}" + (", one run" if shard == WHOLE else "")
    name = f"j. {size} hosts, {by}"
    yield Figure(f"{name}: deploy", spread([r.seconds for r in ran], 1))
    yield Figure(f"{name}: prepare", spread([r.prepare for r in ran], 1))
    yield Figure(f"{name}: most of one worker", spread([r.most for r in ran], 0, " MB"))
    yield Figure(f"{name}: events in its log", str(ran[-1].events))
    yield Figure(f"{name}: all workers", spread([r.all for r in ran], 0, " MB"))


class Fleet:
    """AWS and git of the lab, and hosts in memory to which its config leads."""

    def __init__(self, size: int) -> None:
        self.size, self._stack = size, ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="packlead-")))
            self.folder, place = folder, folder / "fleet"
            lab = Lab({"aws", "git"}, fleet={"prod": {}}, config=_config(place))
            self.lab = stack.enter_context(lab)
            rest = [("prod", "celery", n + 1) for n in range(self.size - 1)]
            crowd_of(lab.aws, [("prod", "manager", 1), *rest], NETWORK)
            addresses = set(lab.fleet.addresses("prod").values())
            if len(addresses) != self.size:
                raise RuntimeError(f"{len(addresses)} addresses for {self.size} hosts")
            (folder / "addresses").write_text("\n".join(addresses))
            words = ["tests.bench.hosts", place, lab.git.head(), folder / "addresses"]
            program = [sys.executable, "-m", *map(str, words)]
            hosts = Leashed(program, before=["env", "-C", str(ROOT)], log=folder / "hosts.log")
            stack.callback(hosts.stop)
            _until(lambda: "ready" in (folder / "hosts.log").read_text(), "the hosts answer")
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()


class House:
    """Workers on one database, each with a folder of its own as if it had its own machine."""

    def __init__(self, fleet: Fleet, url: str, workers: int, shard: int) -> None:
        self.fleet, self.url, self.count, self.shard = fleet, url, workers, shard
        self._leashes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        lab = self.fleet.lab
        secret = secrets.token_urlsafe(48)
        self.store = Store(self.url, patience=30, key=secret.encode())
        for number in range(self.count):
            folder = Path(tempfile.mkdtemp(dir=self.fleet.folder))
            text = lab.config.read_text().replace(
                json.dumps(load(lab.config).data), json.dumps(str(folder / "data"))
            )
            text = text.replace(f"shard = {SHARD}", f"shard = {self.shard}")
            (folder / "packlead.toml").write_text(text)
            env = environment(lab) | {
                "DATABASE_URL": self.url, "PACKLEAD_KEY": secret, "PYTHONPATH": str(PLUGINS),
                "PACKLEAD_CONFIG": str(folder / "packlead.toml"),
            }  # fmt: skip
            with (self.fleet.folder / f"worker-{number}.log").open("ab") as log:
                leash = subprocess.Popen(
                    [*LEASH, sys.executable, "-m", "bot", "worker"], cwd=ROOT, env=env,
                    stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True,
                )  # fmt: skip
            self._leashes.append(leash)
        config = load(lab.config)
        self.dispatcher = Dispatcher(config, find(commands), self.store)
        _until(lambda: self._beating() == self.count, "the workers have started")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for leash in self._leashes:
            assert leash.stdin
            leash.stdin.close()
        for leash in self._leashes:
            leash.wait(20)
        self.store.close()

    def deploy(self, number: int) -> Ran:
        """Deploy a new commit to all hosts, and return what it took."""
        commit = new_commit(self.fleet.lab, number)
        with Memory([leash.pid for leash in self._leashes]) as memory:
            who = Who("slack", "U0ADA", "T0LAB")
            reply = self.dispatcher.ask(Request(commit, f"deploy prod {commit}", who))
            if not reply.ok:
                raise RuntimeError(reply.text)
            _until(lambda: not self._asked(reply.operation).live, "the deploy ends", SECONDS)
        ended = self._asked(reply.operation)
        entries = self.store.entries(reply.operation, limit=1_000_000)
        if ended.state != "done" or not ended.started or not ended.finished:
            raise RuntimeError(f"the deploy is {ended.state}: {entries[-1].event}")
        _until(lambda: not self.store.live(), "all is told", 120)  # the images
        prepare = [
            entry.at for entry in entries
            if isinstance(entry.event, StepStarted | StepEnded) and entry.event.step == "prepare"
        ]  # fmt: skip
        seconds = ended.finished - ended.started
        return Ran(seconds, prepare[-1] - prepare[0], memory.all, memory.most, len(entries))

    def _asked(self, id: str) -> Operation:
        found = self.store.get(id)
        assert found
        return found

    def _beating(self) -> int:
        return self.store.transact(lambda c: len(c.execute(sa.select(beats.c.id)).all()))


class Memory(Beside):
    """Looks again and again how much memory processes and all that they started have."""

    period = LOOK

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids
        self.all = self.most = 0.0

    def turn(self) -> None:
        each = [sum(map(_megabytes, _tree(pid))) for pid in self._pids]
        self.all, self.most = max(self.all, sum(each)), max(self.most, *each, 0.0)


def _tree(pid: int) -> Iterator[int]:
    yield pid
    try:
        children = [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        more = Path(f"/proc/{pid}/task").iterdir()
        threads = [t / "children" for t in more if t.name != str(pid)]
        children += [int(p) for file in threads for p in file.read_text().split()]
    except OSError:
        return  # it has ended
    for child in children:
        yield from _tree(child)


def _megabytes(pid: int) -> float:
    """Return a process's own share of memory (PSS); that of pages which others have too counts in
    parts, so that the sum is what all of them take."""
    try:
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


def _config(place: Path) -> dict[str, Any]:
    answers = {"health": "/healthz", "port": PORT}
    here = {"ansible_connection": "lab.fleet.memory", "memory_socket": str(place)}
    return {
        "types": {"celery": answers, "manager": answers},
        "ansible": {"shard": SHARD, "vars": here},
    }


def _until(true: Callable[[], bool], what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise RuntimeError(f"waited {seconds:g} s in vain: {what}")
        time.sleep(0.1)
