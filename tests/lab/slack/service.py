"""The server in its own thread: starting, stopping, addresses and knobs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Self, TypeVar

from aiohttp import web

from tests.lab.part import Part
from tests.lab.slack import page, server
from tests.lab.slack.courier import Courier
from tests.lab.slack.hub import Hub
from tests.lab.slack.rates import Rates
from tests.lab.slack.sockets import Sockets
from tests.lab.slack.transcript import transcript
from tests.lab.slack.workspace import Workspace

T = TypeVar("T")
AWAY = ("refused", "503")


class Service(Part):
    def __init__(
        self,
        address: str = "127.0.0.1",
        folder: Path | None = None,
        *,
        port: int = 0,
        rate_limits: bool | float = True,
    ) -> None:
        self.address = address
        self.folder = folder
        self.port = port
        self.bot_token = "xoxb-lab-packlead"
        self.app_token = "xapp-lab-packlead"
        self.signing_secret = "signing-secret-of-the-lab"
        self._workspace = Workspace()
        sockets = Sockets(self._workspace)
        courier = Courier(self._workspace, sockets, self.signing_secret)
        self._hub = Hub(self._workspace, sockets, courier, self.bot_token, self.app_token)
        self.rate_limits = rate_limits
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None

    def start(self) -> Self:
        ready = threading.Event()
        failed: list[BaseException] = []
        self._thread = threading.Thread(
            target=self._serve, args=(ready, failed), name="lab-slack", daemon=True
        )
        self._thread.start()
        ready.wait()
        if failed:
            raise failed[0]
        return self

    def stop(self) -> None:
        if self._loop is None or self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop = self._thread = None
        if self.folder is not None:  # what was said outlives the lab where its folder is kept
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "transcript.txt").write_text(transcript(self._workspace) + "\n")

    @property
    def api_url(self) -> str:
        return f"{self._hub.url}/api/"

    @property
    def page_url(self) -> str:
        return f"{self._hub.url}/"

    @property
    def events_url(self) -> str:
        return self._hub.courier.events_url

    @events_url.setter
    def events_url(self, url: str) -> None:
        self._hub.courier.events_url = url

    @property
    def rate_limits(self) -> bool | float:
        return self._hub.rates.speed or False

    @rate_limits.setter
    def rate_limits(self, wanted: bool | float) -> None:
        self._hub.rates = Rates(float(wanted) if wanted else None)

    @property
    def ack_seconds(self) -> float:
        """The deadline for acks, and the life of a trigger id: 3 s, as at Slack."""
        return self._hub.courier.ack_seconds

    @ack_seconds.setter
    def ack_seconds(self, seconds: float) -> None:
        self._hub.courier.ack_seconds = self._hub.tickets.trigger_seconds = seconds

    @property
    def retry_after(self) -> tuple[float, ...]:
        """Seconds before each retry of an event."""
        return self._hub.courier.retry_after

    @retry_after.setter
    def retry_after(self, seconds: tuple[float, ...]) -> None:
        self._hub.courier.retry_after = seconds

    @property
    def edit_window(self) -> float | None:
        """Seconds after which chat.update answers edit_window_closed; None: never."""
        return self._hub.edit_window

    @edit_window.setter
    def edit_window(self, seconds: float | None) -> None:
        self._hub.edit_window = seconds

    def _serve(self, ready: threading.Event, failed: list[BaseException]) -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(self._open())
        except BaseException as error:  # told to whoever called start
            failed.append(error)
            ready.set()
            return
        self._loop = loop
        ready.set()
        loop.run_forever()
        loop.run_until_complete(self._shut())
        loop.close()

    async def _open(self) -> None:
        app = web.Application(client_max_size=20 * 1024 * 1024)
        app.add_routes(server.routes(self._hub))
        app.add_routes(page.routes(self._hub))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await self._listen()
        host, port = self._runner.addresses[0][:2]
        self._hub.url = f"http://{host}:{port}"

    async def _listen(self) -> None:
        assert self._runner is not None
        self._site = web.TCPSite(self._runner, self.address, self.port, backlog=512)
        await self._site.start()

    async def _leave(self, how: str) -> None:
        if how not in AWAY:
            raise ValueError(f"Slack is away by {' or '.join(AWAY)}, not by {how!r}")
        self._hub.away = True
        await self._hub.sockets.drop("reset")
        if how == "refused" and self._site is not None and self._runner is not None:
            self.port = self._runner.addresses[0][1]  # where it comes back
            await self._site.stop()
            self._site = None
            for connection in self._runner.server.connections if self._runner.server else ():
                if connection.transport is not None:
                    connection.transport.abort()
        elif how == "503" and self._site is None:
            await self._listen()

    async def _come_back(self) -> None:
        if self._site is None:
            await self._listen()
        self._hub.away = False

    async def _shut(self) -> None:
        await self._hub.sockets.drop("close")
        await self._hub.courier.close()
        if self._runner is not None:
            await self._runner.cleanup()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            work.close()
            raise RuntimeError("the lab's Slack is not running")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
