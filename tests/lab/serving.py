"""Serve an aiohttp application in a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from aiohttp import web

T = TypeVar("T")


class Server:
    """An event loop in a thread, with one application listening at `url`."""

    def __init__(self, app: web.Application, listener: socket.socket) -> None:
        self.url = "http://{}:{}".format(*listener.getsockname()[:2])
        self.loop = asyncio.new_event_loop()
        self._app, self._listener = app, listener
        self._runner: web.AppRunner | None = None
        self._thread = threading.Thread(target=self._live, name=f"serve {self.url}", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self.call(self._serve())

    def stop(self) -> None:
        if not self._thread.is_alive():
            self._listener.close()
            return
        if self._runner:
            self.call(self._runner.cleanup())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the server's thread and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def _live(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        self.loop.close()

    async def _serve(self) -> None:
        self._runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.SockSite(self._runner, self._listener).start()


def listen(address: str, port: int = 0) -> socket.socket:
    """Listen at this port, or at a free one where it is taken."""
    try:
        return socket.create_server((address, port), backlog=512)
    except OSError:
        if not port:
            raise
        return socket.create_server((address, 0), backlog=512)
