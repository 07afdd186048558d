"""A real Bolt app in a thread of its own, for trying the lab's Slack: Socket Mode or HTTP."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from tests.lab.slack.slack import Slack


class BoltBot:
    """`app` takes listeners; `connect` and `listen` bring it to work."""

    def __init__(self, slack: Slack) -> None:
        self.slack = slack
        self.app = AsyncApp(
            client=AsyncWebClient(token=slack.bot_token, base_url=slack.api_url),
            signing_secret=slack.signing_secret,
        )
        self.seen: list[Any] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._handlers: list[AsyncSocketModeHandler] = []
        self._runner: web.AppRunner | None = None

    def connect(self, lines: int = 1) -> None:
        """Open Socket Mode connections and wait until Slack sees them."""
        already = self.slack.connections
        for _ in range(lines):
            self._do(self._connect())
        self.slack.wait_connected(already + lines)

    def listen(self) -> None:
        """Take signed HTTP, and have Slack send it there."""
        self.slack.events_url = self._do(self._listen())

    def close(self) -> None:
        for handler in self._handlers:
            self._do(handler.close_async())  # type: ignore[no-untyped-call]
        if self._runner is not None:
            self._do(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _connect(self) -> None:
        handler = AsyncSocketModeHandler(self.app, self.slack.app_token, ping_interval=1)
        self._handlers.append(handler)
        await handler.connect_async()  # type: ignore[no-untyped-call]

    async def _listen(self) -> str:
        async def take(request: web.Request) -> web.Response:
            bolt = await self.app.async_dispatch(await to_bolt_request(request))
            return await to_aiohttp_response(bolt)

        server = web.Application()
        server.router.add_post("/slack/events", take)
        self._runner = web.AppRunner(server, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.slack.address, 0).start()
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}/slack/events"

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)
