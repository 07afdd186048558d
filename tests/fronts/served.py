"""The pages served from a thread, for a test or a browser that looks at them."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Self

from bot.config import Config
from bot.fronts.pages import Pages, serve
from bot.links import Links
from bot.store import Store
from tests.waiting import PATIENCE


class Served:
    """A house without Slack; `url` is where its pages are."""

    def __init__(self, config: Config, store: Store, port: int = 0) -> None:
        self.config, self.store, self.port = config, store, port
        self.url = ""
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    @property
    def links(self) -> Links:
        return Links(self.store.key, self.url, self.store.now)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(PATIENCE), "the pages are not served"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the pages do not stop"

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        links = Links(self.store.key, self.config.url, self.store.now)
        routes = Pages(self.config, self.store, links).routes()

        def on_url(url: str) -> None:
            self.url = url

        environ = {"PORT": str(self.port)}
        await serve(environ, self.store, routes, self._stop, self._ready.set, on_url)
