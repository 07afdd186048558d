"""The outside services that a worker holds, as commands see them: what adapters must do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bot.adapters.aws.records import (
    Balancer,
    Fleet,
    Image,
    Instance,
    Launch,
    Snapshot,
    Target,
    Use,
)
from bot.adapters.records import Commit, Live, Outcome
from bot.events import Event


class Aws(Protocol):
    def fleet(self, environment: str) -> Fleet: ...
    def balancer(self, environment: str, type: str) -> Balancer | None: ...
    def targets(self, balancer: Balancer) -> tuple[Target, ...]: ...
    def image(self, instance: Instance, name: str, tags: dict[str, str]) -> Image: ...
    def wait_image(self, id: str, timeout: float = 1800.0) -> Image: ...
    def images(self, environment: str = "") -> tuple[Image, ...]: ...
    def launch(
        self, master: Instance, image: str, names: tuple[str, ...], operation: str
    ) -> tuple[Launch, ...]: ...
    def wait_running(
        self, ids: tuple[str, ...], timeout: float = 300.0
    ) -> tuple[Instance, ...]: ...
    def terminate(self, ids: tuple[str, ...]) -> None: ...
    def leave(self, balancer: Balancer, instance_id: str, host: str = "") -> None: ...
    def uses(self) -> tuple[Use, ...]: ...
    def deregister(self, image: Image) -> None: ...
    def orphans(self, environment: str = "") -> tuple[Snapshot, ...]: ...
    def delete_snapshot(self, id: str) -> None: ...


class Git(Protocol):
    def resolve(self, ref: str, branches: tuple[str, ...]) -> Commit: ...
    def log(self, old: str, new: str) -> tuple[Commit, ...]: ...


class Hosts(Protocol):
    def live(self, instances: tuple[Instance, ...]) -> tuple[Live, ...]: ...


class Playbooks(Protocol):
    def play(
        self,
        directory_name: str,
        playbook: str,
        environment: str,
        hosts: Sequence[Instance],
        variables: Mapping[str, Any],
        tell: Callable[[str, Event], None],
        cancelled: Callable[[], str],
    ) -> Outcome: ...


@dataclass(frozen=True)
class Adapters:
    """The outside services that a worker holds."""

    aws: Aws
    git: Git
    hosts: Hosts
    playbooks: Playbooks
