"""What AWS hands to the rest of the house: Instance, Image, Balancer, Target. No dictionaries."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

NUMBER = re.compile(r"(\d+)$")


@dataclass(frozen=True)
class Instance:
    """An EC2 instance that carries the tags Env, Type and Name."""

    id: str
    name: str
    environment: str
    type: str
    address: str  # private IPv4 address
    state: str  # pending, running, stopping, stopped
    launched: str = ""  # ISO 8601
    image: str = ""
    subnet: str = ""

    @property
    def number(self) -> int:
        """The number at the end of the name; 0 where there is none."""
        found = NUMBER.search(self.name)
        return int(found[1]) if found else 0


@dataclass(frozen=True)
class Balancer:
    """An ELBv2 target group or a classic ELB; `kind` is target_group or classic."""

    name: str
    kind: str
    id: str  # the target group's ARN, or the classic ELB's name
    port: int
    health: str = ""
    delay: int = 300  # deregistration delay, or connection draining, in seconds


@dataclass(frozen=True)
class Target:
    """How one instance stands at a balancer: initial, healthy, unhealthy, draining or absent."""

    instance: str
    state: str
    reason: str = ""
    port: int = 0  # where it is registered; 0 where the balancer does not say


@dataclass(frozen=True)
class Image:
    """An AMI that Packlead made of a master."""

    id: str
    name: str
    state: str  # pending, available, failed
    created: str  # ISO 8601
    environment: str = ""
    type: str = ""
    master: str = ""
    release: str = ""
    commit: str = ""
    snapshots: tuple[str, ...] = ()
    operation: str = ""
    reason: str = ""  # why it failed
    gigabytes: int = 0  # of its disks; its snapshots hold no more than that
    disks: tuple[str, ...] = ()  # the names under which an instance has them


@dataclass(frozen=True)
class Fleet:
    """The instances of one environment, by type and then in number order."""

    environment: str
    instances: tuple[Instance, ...] = field(default=())

    def of(self, type: str) -> tuple[Instance, ...]:
        return tuple(i for i in self.instances if i.type == type)

    def types(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(i.type for i in self.instances))

    def master(self, type: str) -> Instance | None:
        """The instance of the lowest number, or None where the type has no instance."""
        return min(self.of(type), key=lambda i: i.number, default=None)


def in_order(instances: Iterable[Instance]) -> tuple[Instance, ...]:
    """Return instances by type and then by number, as people count them: 2 before 10."""
    return tuple(sorted(instances, key=lambda i: (i.type, i.number, i.name, i.id)))


@dataclass(frozen=True)
class Launch:
    """One instance that was asked for: the instance, or why AWS gave none."""

    name: str
    instance: Instance | None = None
    trouble: str = ""


@dataclass(frozen=True)
class Secret:
    """One version of one of the application's keys; never its value."""

    name: str
    version: int
    at: float  # Unix seconds
    by: str = ""  # who put it there
    fingerprint: str = ""  # a few letters of a keyed hash: two that differ are two values
    again: int = 0  # the version whose value it repeats
    operation: str = ""

    @property
    def root(self) -> int:
        """The version that first held its value."""
        return self.again or self.version


@dataclass(frozen=True)
class Use:
    """Something that needs an image: an instance, a launch template's version, a scaling group."""

    image: str
    by: str  # i-0123…, lt-0123… version 3, scaling group web


@dataclass(frozen=True)
class Snapshot:
    """A snapshot that Packlead's images made and whose image is gone."""

    id: str
    image: str
    environment: str
    created: str  # ISO 8601
