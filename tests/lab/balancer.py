"""The balancers: they follow who is registered at AWS, send requests there, and tell AWS the truth.

One frontend for each target group and classic ELB there is at the start. A target that registers
is checked first and served when it is healthy; one that deregisters gets no new requests from that
very moment, finishes those it has, and is cut off when the group's delay has run out.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.lab import balancer_groups, machine
from tests.lab.balancer_groups import Group, ids
from tests.lab.serving import listen
from tests.waiting import PATIENCE

SLOTS = 12  # servers for each group
PORT = 8080  # of the first balancer, where it is free
TICK = 0.03
INITIAL = 2.0  # seconds after which a target that was never healthy is told as unhealthy
Health = tuple[str, str]


@dataclass(frozen=True)
class Seen:
    """One server, seen from the machinery: does it pass its checks, how much does it do."""

    up: bool
    requests: int
    reason: str = ""


class Machinery(Protocol):
    """What sends requests: haproxy, or the proxy in Python. Verbs are done when they return."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def check(self, group: str, slot: int, address: str, port: int) -> None:
        """Begin to check a server, from unhealthy, and send it nothing."""

    def serve(self, group: str, slot: int) -> None: ...
    def drain(self, group: str, slot: int) -> None:
        """Send it nothing new."""

    def drop(self, group: str, slot: int) -> None:
        """Cut off what it still does, and forget it."""

    def look(self) -> dict[tuple[str, int], Seen]: ...


@dataclass
class Target:
    """A registered instance, or one that leaves; state is checked, served or leaving."""

    slot: int
    address: str
    state: str = "checked"
    since: float = field(default_factory=time.monotonic)


class Balancers:
    """`urls` are those of the environments; `url(name)` of any target group or classic ELB."""

    def __init__(self, aws: Any, folder: Path, address: str) -> None:
        self.machine = machine.look()
        self._aws, self._folder, self._address = aws, folder / "balancer", address
        self._groups: dict[str, Group] = {}
        self._targets: dict[str, dict[str, Target]] = {}
        self._urls: dict[str, str] = {}
        self._machinery: Machinery
        self._lock = threading.RLock()
        self._busy, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._tick, name="balancer", daemon=True)

    @property
    def urls(self) -> dict[str, str]:
        return {
            name.rpartition("-")[0]: url
            for name, url in self._urls.items()
            if name.endswith("-web")
        }

    def url(self, name: str) -> str:
        return self._urls[name]

    def start(self) -> None:
        """Follow AWS from now on; who is registered already is checked and then served."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._groups = {g.id: g for g in balancer_groups.all_groups(self._aws)}
        self._targets = {id: {} for id in self._groups}
        groups = list(self._groups.values())
        doors = [listen(self._address, PORT + n) for n in range(len(groups))]
        for group, door in zip(groups, doors, strict=True):
            self._urls[group.name] = "http://{}:{}".format(*door.getsockname())
        self._machinery = _machinery(self.machine, self._folder, groups, doors)
        self._machinery.start()
        self._thread.start()
        self._aws.watch(self._follow)
        for group in groups:
            for instance in balancer_groups.registered(self._aws, group):
                self._register(group.id, [instance])
        self._aws.health = self.health

    def wait(self, seconds: float = PATIENCE) -> None:
        """Wait until every target that is to be served is healthy."""
        end = time.monotonic() + seconds
        while waited := self._unhealthy():
            if time.monotonic() > end:
                raise RuntimeError(
                    f"waiting {seconds:g} s for healthy targets: {', '.join(waited)}"
                )
            time.sleep(TICK)

    def stop(self) -> None:
        if self._aws.health == self.health:
            self._aws.health = None
        self._stopping.set()
        self._busy.set()
        if self._thread.is_alive():
            self._thread.join()
            self._machinery.stop()

    def health(self, group: str) -> dict[str, Health]:
        """Tell each instance's state and reason, as it truly is; KeyError: not our group."""
        with self._lock:
            targets = self._targets[group]
            seen = self._machinery.look() if targets else {}
            name = self._groups[group].name
            return {id: _told(t, seen[name, t.slot]) for id, t in targets.items()}

    def requests(self, group: str, instance: str) -> int:
        """How many requests an instance has in flight."""
        with self._lock:
            target, seen = self._targets[group].get(instance), self._machinery.look()
            return seen[self._groups[group].name, target.slot].requests if target else 0

    def _unhealthy(self) -> list[str]:
        return [
            f"{instance} is {state} in {group.name}"
            for group in self._groups.values()
            for instance, (state, _) in self.health(group.id).items()
            if state in ("initial", "unhealthy")
        ]

    def _follow(self, action: str, params: dict[str, str], answer: bytes) -> None:
        group = params.get("TargetGroupArn") or params.get("LoadBalancerName", "")
        match action:
            case "RegisterTargets" | "RegisterInstancesWithLoadBalancer":
                self._register(group, ids(params))
            case "DeregisterTargets" | "DeregisterInstancesFromLoadBalancer":
                self._leave(group, ids(params))
            case "TerminateInstances":
                for each in self._groups:
                    self._leave(each, ids(params))

    def _register(self, group: str, instances: Sequence[str]) -> None:
        if group not in self._groups:
            return
        about = self._groups[group]
        for instance in instances:
            known = self._targets[group].get(instance)
            if known and known.state != "leaving":
                continue
            address = known.address if known else balancer_groups.address(self._aws, instance)
            with self._lock:
                taken = {t.slot for t in self._targets[group].values()}
                free = known.slot if known else min(set(range(1, SLOTS + 1)) - taken)
                self._targets[group][instance] = Target(free, address)
                self._machinery.check(about.name, free, address, about.port)
        self._busy.set()

    def _leave(self, group: str, instances: Sequence[str]) -> None:
        with self._lock:
            for instance in instances:
                target = self._targets.get(group, {}).get(instance)
                if target and target.state != "leaving":
                    self._machinery.drain(self._groups[group].name, target.slot)
                    target.state, target.since = "leaving", time.monotonic()
        self._busy.set()

    def _tick(self) -> None:
        """While somebody joins or leaves, look often; otherwise sleep."""
        while not self._stopping.is_set():
            self._busy.wait()
            self._busy.clear()
            if self._step():
                self._busy.set()
            self._stopping.wait(TICK)

    def _step(self) -> bool:
        with self._lock:
            seen = self._machinery.look()
            for id, group in self._groups.items():
                for instance, target in list(self._targets[id].items()):
                    waited = time.monotonic() - target.since
                    if target.state == "checked" and seen[group.name, target.slot].up:
                        self._machinery.serve(group.name, target.slot)
                        target.state = "served"
                    elif target.state == "leaving" and waited > group.delay:
                        self._machinery.drop(group.name, target.slot)
                        del self._targets[id][instance]
            return any(t.state != "served" for g in self._targets.values() for t in g.values())


def _told(target: Target, seen: Seen) -> Health:
    match target.state:
        case "leaving":
            return "draining", "Target.DeregistrationInProgress"
        case "served" if seen.up:
            return "healthy", ""
        case "checked" if time.monotonic() - target.since < INITIAL:
            return "initial", "Elb.InitialHealthChecking"
        case "checked" if seen.up:
            return "initial", "Elb.InitialHealthChecking"
    return "unhealthy", seen.reason or "Target.FailedHealthChecks"


def _machinery(
    here: machine.Machine, folder: Path, groups: Sequence[Group], doors: Sequence[Any]
) -> Machinery:
    if here.haproxy:
        from tests.lab.balancer_haproxy import Haproxy

        return Haproxy(here.haproxy, folder, groups, doors)
    from tests.lab.balancer_python import PythonProxy

    return PythonProxy(groups, doors)
