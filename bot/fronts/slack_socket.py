"""One Socket Mode connection that comes back by itself, also where Slack's own client would not."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp

log = logging.getLogger(__name__)
wire = logging.getLogger(f"{__name__}.wire")
wire.setLevel(logging.INFO)  # below that Slack's library writes down all that people have typed
wire.addFilter(lambda record: _in_a_line(record))

PING_SECONDS = 10.0  # between two pings; each is answered within half of it
PATIENCE = 10.0  # seconds without a connection until a new one is made from the ground up


class Socket:
    """Connects a Bolt app to Slack by Socket Mode."""

    def __init__(self, app: AsyncApp, token: str, proxy: str) -> None:
        self.app, self.token, self.proxy = app, token, proxy
        self._handler: Any = None  # an AsyncSocketModeHandler; Slack's library has types half-way

    async def connected(self) -> bool:
        return self._handler is not None and bool(await self._handler.client.is_connected())

    async def run(self, stop: asyncio.Event, ready: asyncio.Event) -> None:
        """Connect, and look after the connection until stopped."""
        loop = asyncio.get_running_loop()
        while not stop.is_set():
            await self._close()
            tasks = [asyncio.create_task(self._open())]
            seen, there = loop.time(), False
            while not stop.is_set():
                if await self.connected():
                    seen, there = loop.time(), True
                    ready.set()
                elif loop.time() - seen >= PATIENCE:
                    break
                elif there:
                    there = False  # at once, and once: Slack's library looks at its every ping
                    tasks.append(asyncio.create_task(self._again()))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), 0.05 if not ready.is_set() else 0.5)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if not stop.is_set():
                log.warning("no connection to Slack for %.0f s: connecting anew", PATIENCE)

    async def stop_hearing(self) -> None:
        """Take nothing more; what was heard can still be answered."""
        if self._handler is not None:
            self._handler.client.socket_mode_request_listeners.clear()

    async def close(self) -> None:
        await self._close()

    async def _open(self) -> None:
        # A second handler, and so a new ticket: the client retries an old one for ever.
        self._handler = AsyncSocketModeHandler(
            self.app, self.token, logger=wire, ping_interval=PING_SECONDS
        )
        self._handler.client.proxy = self.proxy or None  # it would not heed NO_PROXY
        try:
            await self._handler.client.connect()
        except Exception as error:
            log.warning("connecting to Slack: %s", error)

    async def _again(self) -> None:
        try:
            await self._handler.client.connect_to_new_endpoint()
        except Exception as error:
            log.warning("connecting to Slack again: %s", error)

    async def _close(self) -> None:
        handler, self._handler = self._handler, None
        if handler is not None:
            with contextlib.suppress(Exception):
                await handler.client.close()


def _in_a_line(record: logging.LogRecord) -> bool:
    """Tell an error of the connection without its traceback: an outage would fill the log."""
    record.exc_info = None
    record.msg, record.args = record.getMessage().partition("\nTraceback")[0], ()
    return True
