"""An AWS for these tests: the lab's, with its usual fleet, and a clock that does not wait."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from bot.adapters.aws.fleet import Aws
from bot.adapters.aws.records import Instance
from bot.config import Config
from tests.lab import aws as lab
from tests.lab import fleet
from tests.lab.address import claim

CONFIG: dict[str, Any] = {
    "app": {"repository": "https://example.org/app.git", "pip_options": ["--no-index"]},
    "ssh": {"user": "deploy", "port": 2222, "key": "/keys/deploy", "known_hosts": "/keys/known"},
    "ansible": {"vars": {"app_root": "/srv/{{ inventory_hostname }}"}},
    "types": {
        "web": {"services": ["web"], "health": "/healthz", "settle": 0.2},
        "celery": {"minimum": 1, "services": ["celery"]},
        "manager": {"minimum": 1},
    },
    "environments": {
        "prod": {"channel": "C0PROD", "balancers": {"web": {"target_group": "prod-web"}}},
        "puppystream": {
            "channel": "C0PUPPY",
            "balancers": {
                "web": {"classic": "prod-classic"},
                "celery": {"target_group": "mistyped"},
                "manager": {"classic": "mistyped"},
            },
        },
    },
}


@dataclass
class Clock:
    """Time that passes by sleeping only; `then` happens after so many sleeps."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Aws]:
    place = claim()
    with lab.Aws(place.services, tmp_path_factory.mktemp("aws")) as cloud:
        fleet.seed(cloud, place.subnet)
        yield cloud
    place.free()


@pytest.fixture
def cloud(
    world: lab.Aws, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[lab.Aws]:
    home = tmp_path_factory.mktemp("home")  # whose ~/.aws is nobody's
    for name, value in {**world.env, "HOME": str(home)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    world.log.clear()
    yield world
    world.calm()
    world.health = None


@pytest.fixture(scope="session")
def config() -> Config:
    return Config.model_validate(CONFIG)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def aws(cloud: lab.Aws, config: Config, clock: Clock) -> Aws:
    """The adapter, as the bot has it, on time that does not pass by itself."""
    return Aws(config, sleep=clock.sleep, clock=clock)


@pytest.fixture(scope="package")
def adapter(world: lab.Aws, config: Config) -> Aws:
    """One that is kept: making its clients takes longer than most tests."""
    return Aws(config)


@pytest.fixture
def warm(adapter: Aws, cloud: lab.Aws, clock: Clock) -> Iterator[Aws]:
    """The kept adapter, for tests that leave the credentials as they are."""
    adapter._sleep, adapter._clock = clock.sleep, clock
    yield adapter
    if cloud.faults:  # its clients may have tried so often that they try no more
        adapter._forget()


@pytest.fixture
def web1(aws: Aws) -> Instance:
    return aws.fleet("prod").of("web")[0]
