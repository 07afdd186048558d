"""The pages: the board, and the log of every operation. They are looked at; nothing is done here.

`routes` gives them to the server of whichever front runs; `serve` is for a house without Slack.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from aiohttp import web

from bot import board
from bot.board import Windows
from bot.config import Config
from bot.events import Answered
from bot.fronts import http, page_views
from bot.fronts.http import Route
from bot.fronts.page_gate import HEADERS, Gate
from bot.fronts.page_streams import Streams
from bot.links import Links, Pass
from bot.store import Operation, Store


class Pages:
    """What is shown of one house."""

    def __init__(
        self, config: Config, store: Store, links: Links, windows: Windows = board.no_windows
    ) -> None:
        self.config, self.store, self.windows = config, store, windows
        self.gate = Gate(links, self._refused, store.now)
        self.streams = Streams(store, store.now)

    def routes(self) -> list[Route]:
        """Return the pages; all of them are read, and none takes anything."""
        guarded = self.gate.guarded
        return [
            web.get("/", guarded(self.board)),
            web.get("/news", guarded(self.news)),
            web.get(r"/operations/{number:\d{1,9}}", guarded(self.log)),
            web.get(r"/operations/{number:\d{1,9}}/events", guarded(self.events)),
            web.get(r"/operations/{number:\d{1,9}}/log.txt", guarded(self.text)),
            web.get("/static/{name}", _static),
        ]

    async def board(self, _request: web.Request, seen: Pass) -> web.StreamResponse:
        if seen.alone:
            return self._refused("This link opens the log of one operation only.")
        only, windows = seen.environments, self.windows
        shown = await asyncio.to_thread(board.read, self.store, self.config, only, windows)
        return _html(page_views.board(shown, self.config.app.name))

    async def news(self, request: web.Request, seen: Pass) -> web.StreamResponse:
        return await self.streams.news(request, seen)

    async def log(self, request: web.Request, seen: Pass) -> web.StreamResponse:
        operation = await self._operation(request, seen)
        if operation is None:
            return self._unseen(request)
        end, children = await asyncio.to_thread(board.told, self.store, operation)
        now, whole = self.store.now(), not seen.alone
        return _html(page_views.log(operation, end, children, now, self.config.app.name, whole))

    async def events(self, request: web.Request, seen: Pass) -> web.StreamResponse:
        operation = await self._operation(request, seen)
        if operation is None:
            return self._unseen(request)
        return await self.streams.log(request, operation, seen)

    async def text(self, request: web.Request, seen: Pass) -> web.StreamResponse:
        operation = await self._operation(request, seen)
        if operation is None:
            return self._unseen(request)
        return await self.streams.text(request, operation)

    async def _operation(self, request: web.Request, seen: Pass) -> Operation | None:
        """Return the operation that was asked for, where this reader may see it."""
        number = int(request.match_info["number"])
        operation = await asyncio.to_thread(self.store.get, str(number))
        if operation is None or not seen.opens(operation.number, operation.environment):
            return None
        # What was said to one person alone opens with the link that this person got.
        private = bool(operation.audience.get("direct")) or await self._answered(operation)
        mine = seen.scope == str(operation.number) or seen.expires == float("inf")
        return operation if mine or not private else None

    async def _answered(self, operation: Operation) -> bool:
        """Tell whether it only looked at something: its answer was for who had the right to ask."""
        if operation.exclusive or operation.live:
            return False
        entries = await asyncio.to_thread(self.store.entries, operation.id)
        return any(isinstance(entry.event, Answered) for entry in entries)

    def _refused(self, why: str) -> web.Response:
        return _html(page_views.refusal(why, self.config.app.name), 403)

    def _unseen(self, request: web.Request) -> web.Response:
        """Answer the same to what is not there and to what is not for this reader."""
        number = request.match_info["number"]
        said = f"There is no operation #{number}, or this link does not open it."
        return _html(page_views.refusal(said, self.config.app.name), 404)


async def serve(
    environ: Mapping[str, str],
    store: Store,
    routes: Iterable[Route],
    stop: asyncio.Event,
    ready: Callable[[], None],
    on_url: Callable[[str], None],
) -> None:
    """Serve the given routes and nothing of Slack's, until stopped."""

    async def health() -> Mapping[str, object]:
        try:
            await asyncio.wait_for(asyncio.to_thread(store.newest_entry), 5.0)
        except Exception:
            return {"database": False}
        return {"database": True}

    server = http.Server(http.application(health, routes), *http.address(environ))
    await server.start()
    on_url(server.url)
    ready()
    try:
        await stop.wait()
    finally:
        await server.stop()


async def _static(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    kind = page_views.STATIC.get(name)
    if kind is None:
        raise web.HTTPNotFound
    kept = {"Cache-Control": "public, max-age=86400"} if request.query.get("v") else {}
    body = page_views.static(name)
    return web.Response(body=body, content_type=kind, charset="utf-8", headers=HEADERS | kept)


def _html(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")
