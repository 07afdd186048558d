"""The Slack front in a thread, against the lab's Slack; operations are told without an engine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from bot.config import Config
from bot.dispatcher import Dispatcher
from bot.events import Event
from bot.fronts import slack as front
from bot.store import Operation, Store
from tests.lab.slack import Slack
from tests.waiting import PATIENCE

SECRET = "signing-secret-of-the-lab"


class Running:
    """The front in a thread of its own."""

    def __init__(
        self,
        config: Config,
        store: Store,
        dispatcher: Dispatcher,
        environ: dict[str, str],
        serve: Callable[..., Awaitable[None]] = front.serve,
    ) -> None:
        self.parts = (config, store, dispatcher, {"PORT": "0", **environ})
        self.serve = serve
        self.url = ""
        self.failure: BaseException | None = None
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self, wait: bool = True) -> Running:
        self._thread.start()
        if wait:
            assert self._ready.wait(PATIENCE), "the front is not ready"
            if self.failure:
                raise self.failure
        return self

    def stop(self) -> None:
        if self._loop and self._stop and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the front does not stop"

    def _run(self) -> None:
        async def main() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            await self.serve(*self.parts, self._stop, self._ready.set, on_url=self._say)

        try:
            asyncio.run(main())
        except BaseException as failure:
            self.failure = failure
            self._ready.set()

    def _say(self, url: str) -> None:
        self.url = url


class Worker:
    """Plays the engine: writes what operations tell."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._count = iter(range(1, 100_000))

    def newest(self) -> Operation:
        return self.store.history()[0]

    def tell(self, operation: Operation | str, *events: Event) -> None:
        id = operation if isinstance(operation, str) else operation.id
        for event in events:
            self.store.append(id, f"tell#{next(self._count)}", event)

    def begin(self, operation: Operation, *events: Event) -> None:
        self.store.begin(operation.id)
        self.tell(operation, *events)

    def end(self, operation: Operation | str, event: Event, state: str = "done") -> None:
        self.store.end(operation if isinstance(operation, str) else operation.id, state, event)


@pytest.fixture
def slack(tmp_path: Path) -> Iterator[Slack]:
    with Slack(folder=tmp_path / "slack", rate_limits=20) as slack:
        slack.ack_seconds = PATIENCE  # no test times the front
        yield slack


@pytest.fixture
def strict(slack: Slack) -> Iterator[Slack]:
    """Slack, which must have had nothing to refuse in the end."""
    yield slack
    assert slack.refused == []
    assert slack.warnings == []
    assert slack.mentions == []


@pytest.fixture
def environ(slack: Slack) -> dict[str, str]:
    return {
        "SLACK_API_URL": slack.api_url,
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
    }


@pytest.fixture
def launch(
    config: Config, store: Store, dispatcher: Dispatcher, environ: dict[str, str]
) -> Iterator[Callable[..., Running]]:
    """Start the front, with more or other variables; it is stopped at the end."""
    begun: list[Running] = []

    def make(wait: bool = True, **more: str) -> Running:
        begun.append(Running(config, store, dispatcher, environ | more).start(wait))
        return begun[-1]

    yield make
    for running in begun:
        running.stop()


@pytest.fixture
def running(launch: Callable[..., Running]) -> Running:
    return launch()


@pytest.fixture
def over_http(slack: Slack, launch: Callable[..., Running]) -> Running:
    running = launch(SLACK_SIGNING_SECRET=slack.signing_secret)
    slack.events_url = f"{running.url}/slack/events"
    return running


@pytest.fixture
def worker(store: Store) -> Worker:
    return Worker(store)
