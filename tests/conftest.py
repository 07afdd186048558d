"""What tests share: a config, a store of their own, and people who ask."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import commands
from bot.command import Command, find
from bot.config import Config
from bot.dispatcher import Dispatcher, Reply, Request
from bot.people import Who
from bot.store import Store
from tests.lab.postgres import Postgres, missing

for name in set(os.environ) - {
    "PACKLEAD_TEST_POSTGRES"
}:  # nothing of the machine's own may decide a test
    if name.startswith(("SLACK_", "AWS_", "GITHUB_", "PACKLEAD_", "ANSIBLE_")) or name in (
        "DATABASE_URL", "ENVIRONMENT", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY",
    ):  # fmt: skip
        del os.environ[name]


# What an example takes says more about the machine than about us.
settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("here")

# Folders behind those whose files take longest; the shortest ones last.
SHORT = ("fronts", "lab", "tests", "slack", "adapters", "core", "commands")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, so that those who work at them in parallel end together."""
    order = {name: number for number, name in enumerate(SHORT)}
    items.sort(key=lambda item: order.get(item.path.parent.name, -1))
    for item in items:
        if item.get_closest_marker("soak"):
            item.add_marker(pytest.mark.timeout(3600))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config.model_validate(
        {
            "app": {"repository": str(tmp_path / "app.git")},
            "slack": {"team": "T0LAB"},
            "types": {"web": {"health": "/healthz"}, "celery": {"minimum": 1}},
            "environments": {
                "prod": {"channel": "C0PROD", "balancers": {"web": {"target_group": "prod-web"}}},
                "puppystream": {"channel": "C0PUPPY"},
            },
            "people": {
                "ada": {"slack": "U0ADA", "unix": "ada"},
                "bob": {"slack": "U0BOB"},
                "eve": {"slack": "U0EVE"},
            },
            "permissions": [
                {"who": ["ada", "S0OPS"], "may": ["*"]},
                {
                    "who": ["bob"],
                    "may": ["deploy", "scale", "status", "cancel"],
                    "on": ["puppystream"],
                },
            ],
            "data": str(tmp_path / "data"),
        }
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(
        f"sqlite:///{tmp_path / 'packlead.db'}", key=b"the key of a house of tests, long enough"
    )
    yield store
    store.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A server, as a URL that ends before the database; PACKLEAD_TEST_POSTGRES may name one."""
    if given := os.environ.get("PACKLEAD_TEST_POSTGRES"):
        yield given
        return
    if why := missing():
        pytest.skip(why)
    with Postgres() as server:
        yield server.url


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A server of the module's own, which may be ended, or hang."""
    if why := missing():
        pytest.skip(why)
    with Postgres() as server:
        yield server


@pytest.fixture
def known() -> dict[str, Command]:
    return find(commands)


@pytest.fixture
def dispatcher(config: Config, known: dict[str, Command], store: Store) -> Dispatcher:
    return Dispatcher(config, known, store)


@pytest.fixture
def ask(dispatcher: Dispatcher) -> Callable[..., Reply]:
    """Say a line as somebody; `id` is the delivery's, a new one where none is given."""
    count = iter(range(10_000))

    def say(person: str, text: str, id: str = "", **who: object) -> Reply:
        speaker = Who("slack", person, **{"team": "T0LAB", **who})  # type: ignore[arg-type]
        return dispatcher.ask(Request(id or f"delivery-{next(count)}", text, speaker))

    return say
