"""What the pages are told while they are open: server-sent events, from the log, page by page.

However long a log is, no more than one page of it is held here; a slow reader is waited for. One
look at the database serves all readers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from aiohttp import web

from bot.events import Entry
from bot.fronts.page_entries import drawn, text
from bot.fronts.page_gate import headers
from bot.links import Pass
from bot.store import Operation, Store

log = logging.getLogger(__name__)
T = TypeVar("T")

PAGE, PAGES = 50, 800  # entries at first, and at most: as many as hold about as much as LARGE
LARGE = 200_000  # characters
LOOK_SECONDS = 0.3
QUIET_SECONDS = 15.0  # after which a comment keeps a silent stream open
READERS = 200  # at the same time


class Streams:
    """The open streams of this process."""

    def __init__(self, store: Store, now: Callable[[], float]) -> None:
        self.store, self.now = store, now
        self.readers = 0
        self._newest = 0
        self._news = asyncio.Condition()
        self._looking: asyncio.Task[None] | None = None
        # One thread: however many read, no more than one page is being read for them.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="pages")

    async def log(
        self, request: web.Request, operation: Operation, seen: Pass
    ) -> web.StreamResponse:
        """Send an operation's log from where the reader last was, and go on until its end."""
        after = _number(request.headers.get("Last-Event-ID") or request.query.get("after", "0"))
        async with self._open(request) as response:
            if response is None:
                return _full()
            while seen.expires > self.now():
                newest = self._newest
                over = await self._over(operation.id)
                async for entries in self.pages(operation.id, after):
                    after = entries[-1].number
                    await response.write(_told(entries, after))
                if over:
                    await response.write(b"event: end\ndata: {}\n\n")
                    break
                await self._wait(response, newest)
        return response

    async def news(self, request: web.Request, seen: Pass) -> web.StreamResponse:
        """Say that something has changed, whenever it has."""
        async with self._open(request) as response:
            if response is None:
                return _full()
            while seen.expires > self.now():
                newest = self._newest
                await response.write(f"id: {newest}\ndata: {newest}\n\n".encode())
                while newest == self._newest and seen.expires > self.now():
                    await self._wait(response, newest)
        return response

    async def text(self, request: web.Request, operation: Operation) -> web.StreamResponse:
        """Send the whole log as a text file, as far as it has come."""
        name = f"packlead-{operation.number}.log"
        response = web.StreamResponse(
            headers=headers(
                {
                    "Content-Type": "text/plain; charset=utf-8",
                    "Content-Disposition": f'attachment; filename="{name}"',
                }
            )
        )
        await response.prepare(request)
        async for entries in self.pages(operation.id, 0):
            await response.write("".join(map(text, entries)).encode(errors="replace"))
        await response.write_eof()
        return response

    async def pages(self, id: str, after: int) -> AsyncIterator[list[Entry]]:
        """Yield an operation's entries after one, a page at a time."""
        most = PAGE
        while True:
            page = await self._ask(self.store.entries, id, after, most)
            if page:
                yield page
                after = page[-1].number
            if len(page) < most:
                return
            size = sum(len(str(getattr(entry.event, "text", ""))) + 100 for entry in page)
            most = max(10, min(PAGES, most * LARGE // size))

    async def _ask(self, verb: Callable[..., T], *arguments: Any) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, partial(verb, *arguments))

    async def _over(self, id: str) -> bool:
        operation = await self._ask(self.store.get, id)
        return operation is None or not operation.live

    @contextlib.asynccontextmanager
    async def _open(self, request: web.Request) -> AsyncIterator[web.StreamResponse | None]:
        if self.readers >= READERS:
            yield None
            return
        response = web.StreamResponse(
            headers=headers({"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        )
        self.readers += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            await response.prepare(request)
            await response.write(b"retry: 1000\n\n")
            yield response
        except ConnectionError:
            log.debug("a reader has left %s", request.path)
        finally:
            self.readers -= 1

    async def _wait(self, response: web.StreamResponse, newest: int) -> None:
        try:
            async with asyncio.timeout(QUIET_SECONDS), self._news:
                await self._news.wait_for(lambda: self._newest != newest)
        except TimeoutError:
            await response.write(b": still here\n\n")

    async def _look(self) -> None:
        """Look for news as long as somebody reads."""
        while self.readers:
            try:
                newest = await self._ask(self.store.newest_entry)
            except Exception:
                log.exception("looking for news")
                newest = self._newest
            if newest != self._newest:
                async with self._news:
                    self._newest = newest
                    self._news.notify_all()
            await asyncio.sleep(LOOK_SECONDS)


def _told(entries: list[Entry], last: int) -> bytes:
    shown = [told for told in map(drawn, entries) if told is not None]
    body = json.dumps(shown, separators=(",", ":"), ensure_ascii=False)
    return f"id: {last}\ndata: {body}\n\n".encode(errors="replace")


def _number(given: str) -> int:
    return int(given) if given.isascii() and given.isdecimal() and len(given) < 16 else 0


def _full() -> web.Response:
    return web.Response(status=503, headers=headers({"Retry-After": "10"}))
