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
    Secret,
    Snapshot,
    Target,
    Use,
)
from bot.adapters.records import (
    Check,
    Coming,
    Commit,
    Deployment,
    Live,
    Outcome,
    Ran,
    Ready,
    Talked,
)
from bot.events import Event
from bot.frozen import Freeze


class Aws(Protocol):
    def fleet(self, environment: str) -> Fleet: ...
    def balancer(self, environment: str, type: str) -> Balancer | None: ...
    def targets(self, balancer: Balancer) -> tuple[Target, ...]: ...
    def image(self, instance: Instance, name: str, tags: dict[str, str]) -> Image: ...
    def wait_image(self, id: str, timeout: float = 1800.0) -> Image: ...
    def images(self, environment: str = "") -> tuple[Image, ...]: ...
    def launch(
        self,
        master: Instance,
        image: str,
        names: tuple[str, ...],
        operation: str,
        subnets: tuple[str, ...] = (),
    ) -> tuple[Launch, ...]: ...
    def reasons(self, ids: tuple[str, ...]) -> dict[str, str]: ...
    def kept(self, ids: tuple[str, ...]) -> dict[str, str]: ...
    def wait_running(
        self, ids: tuple[str, ...], timeout: float = 300.0
    ) -> tuple[Instance, ...]: ...
    def terminate(self, ids: tuple[str, ...]) -> None: ...
    def leave(self, balancer: Balancer, instance_id: str, host: str = "") -> None: ...
    def uses(self) -> tuple[Use, ...]: ...
    def not_ours(self, images: tuple[Image, ...]) -> tuple[tuple[str, str], ...]: ...
    def deregister(self, image: Image, checked: bool = False) -> None: ...
    def orphans(self, environment: str = "") -> tuple[Snapshot, ...]: ...
    def delete_snapshot(self, id: str) -> None: ...


class Secrets(Protocol):
    """The application's keys. No verb takes or answers a value: what is put was sealed before."""

    def keys(self, environment: str) -> tuple[Secret, ...]: ...
    def versions(self, environment: str, name: str) -> tuple[Secret, ...]: ...
    def put(
        self, environment: str, name: str, operation: str, by: str, generate: bool = False
    ) -> Secret: ...
    def again(
        self, environment: str, name: str, version: int, operation: str, by: str
    ) -> Secret: ...
    def remove(self, environment: str, name: str) -> None: ...


class Git(Protocol):
    def resolve(self, ref: str, branches: tuple[str, ...]) -> Commit: ...
    def log(self, old: str, new: str) -> tuple[Commit, ...]: ...
    def changed(self, old: str, new: str, only: str = "") -> tuple[str, ...]: ...


class Hosts(Protocol):
    def live(self, instances: tuple[Instance, ...]) -> tuple[Live, ...]: ...
    def ready(self, instances: tuple[Instance, ...]) -> tuple[Ready, ...]: ...


class GitHub(Protocol):
    def checks(self, commit: str) -> tuple[Check, ...]: ...
    def coming(self, old: str, new: str, commits: tuple[str, ...]) -> Coming: ...
    def compare_url(self, old: str, new: str) -> str: ...


class Deployments(Protocol):
    """Where deployments are told; fronts hold it, not commands."""

    def deployment(self, operation: str, environment: str, commit: str) -> Deployment | None: ...
    def deploy(
        self, operation: str, environment: str, commit: str, task: str, text: str
    ) -> Deployment: ...
    def states(self, deployment: Deployment) -> tuple[str, ...]: ...
    def tell(self, deployment: Deployment, state: str, text: str, url: str = "") -> None: ...


class Calendar(Protocol):
    def frozen(self, environment: str) -> Freeze | None: ...


class Playbooks(Protocol):
    def state(self, directory_name: str) -> str: ...
    def attend(self, directory_name: str) -> None: ...
    def play(
        self,
        directory_name: str,
        playbook: str,
        environment: str,
        hosts: Sequence[Instance],
        variables: Mapping[str, Any],
        tell: Callable[[str, Event], None],
        cancelled: Callable[[], str],
        plays: Sequence[str] = (),
    ) -> Outcome: ...


class Line(Protocol):
    """Who types in a shell, line by line."""

    def opened(self) -> None: ...
    def heard(self) -> list[str]: ...
    def took(self, text: str) -> None: ...
    def tell(self, event: Event) -> None: ...
    def cancelled(self) -> str: ...


class Remote(Protocol):
    def begun(self, place: str) -> bool: ...
    def run(
        self,
        place: str,
        host: Instance,
        argv: Sequence[str],
        seconds: float,
        tell: Callable[[str, Event], None],
        cancelled: Callable[[], str],
    ) -> Ran: ...
    def talk(self, host: Instance, seconds: float, line: Line) -> Talked: ...


@dataclass(frozen=True)
class Adapters:
    """The outside services that a worker holds."""

    aws: Aws
    git: Git
    hosts: Hosts
    playbooks: Playbooks
    remote: Remote
    calendar: Calendar
    github: GitHub
    secrets: Secrets
