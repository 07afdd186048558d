"""A small reverse proxy as the balancers' machinery, for machines without haproxy.

As honest as haproxy is here: it sends a request to one server, once. What goes wrong there is
answered with 502, 503 or 504, and an answer that breaks off breaks off for the client too.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from tests.lab.balancer import Seen
from tests.lab.balancer_groups import Group
from tests.lab.serving import Server

RISE, FALL = 2, 2
# These belong to one connection, not to the message that goes over two.
HOP = {
    *("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding"),
    "upgrade",
}


@dataclass
class Slot:
    """One server; mode is check, serve or drain."""

    address: str
    port: int
    mode: str = "check"
    up: bool = False
    streak: int = 0  # of checks that say otherwise than `up`
    reason: str = ""
    tasks: set[asyncio.Task[object]] = field(default_factory=set)  # requests in flight


class PythonProxy:
    """A server for each group; what concerns a group happens in its server's thread."""

    def __init__(self, groups: Sequence[Group], doors: Sequence[socket.socket]) -> None:
        self._fronts = {
            group.name: Front(group, door) for group, door in zip(groups, doors, strict=True)
        }

    def start(self) -> None:
        for front in self._fronts.values():
            front.server.start()

    def stop(self) -> None:
        for front in self._fronts.values():
            front.server.stop()

    def check(self, group: str, slot: int, address: str, port: int) -> None:
        front = self._fronts[group]
        front.server.call(front.check(slot, address, port))

    def serve(self, group: str, slot: int) -> None:
        self._mode(group, slot, "serve")

    def drain(self, group: str, slot: int) -> None:
        self._mode(group, slot, "drain")

    def drop(self, group: str, slot: int) -> None:
        front = self._fronts[group]
        front.server.call(front.drop(slot))

    def look(self) -> dict[tuple[str, int], Seen]:
        return {
            (name, number): Seen(slot.up, len(slot.tasks), slot.reason)
            for name, front in self._fronts.items()
            for number, slot in list(front.slots.items())
        }

    def _mode(self, group: str, slot: int, mode: str) -> None:
        front = self._fronts[group]
        front.server.call(front.mode(slot, mode))


class Front:
    """What listens for one group."""

    def __init__(self, group: Group, door: socket.socket) -> None:
        self.slots: dict[int, Slot] = {}
        self._group, self._turn = group, 0
        self._checks: dict[int, asyncio.Task[None]] = {}
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._pass)
        app.cleanup_ctx.append(self._client)
        self.server = Server(app, door)

    async def check(self, number: int, address: str, port: int) -> None:
        old = self.slots.get(number)
        self.slots[number] = slot = Slot(address, port)
        slot.tasks = old.tasks if old else set()
        if number in self._checks:
            self._checks[number].cancel()
        self._checks[number] = asyncio.create_task(self._watch(slot))

    async def mode(self, number: int, mode: str) -> None:
        self.slots[number].mode = mode

    async def drop(self, number: int) -> None:
        self._checks.pop(number).cancel()
        for task in self.slots.pop(number).tasks:
            task.cancel()

    async def _client(self, app: web.Application):  # type: ignore[no-untyped-def]
        # A connection for each request: aiohttp tries twice when a kept one was closed.
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=2, sock_read=120)
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False, skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        ) as self._session:  # fmt: skip
            yield
            for task in self._checks.values():
                task.cancel()

    async def _watch(self, slot: Slot) -> None:
        url = f"http://{slot.address}:{slot.port}{self._group.path}"
        while True:
            try:
                async with asyncio.timeout(1), self._session.get(url) as answer:
                    well, slot.reason = answer.status == 200, "Target.ResponseCodeMismatch"
                    await answer.read()
            except TimeoutError:
                well, slot.reason = False, "Target.Timeout"
            except aiohttp.ClientError:
                well, slot.reason = False, "Target.FailedHealthChecks"
            slot.streak = slot.streak + 1 if well != slot.up else 0
            if slot.streak >= (RISE if well else FALL):
                slot.up, slot.streak = well, 0
            await asyncio.sleep(0.3 if slot.up and not slot.streak else 0.1)

    def _next(self) -> Slot | None:
        ready = [s for _, s in sorted(self.slots.items()) if s.mode == "serve" and s.up]
        self._turn += 1
        return ready[self._turn % len(ready)] if ready else None

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        slot = self._next()
        if slot is None:
            return web.Response(status=503, text="no server is there\n")
        task = asyncio.current_task()
        assert task
        slot.tasks.add(task)
        try:
            return await self._send(request, slot)
        finally:
            slot.tasks.discard(task)

    async def _send(self, request: web.Request, slot: Slot) -> web.StreamResponse:
        url = f"http://{slot.address}:{slot.port}{request.raw_path}"
        headers = [(k, v) for k, v in request.headers.items() if k.lower() not in HOP]
        body = request.content if request.body_exists else None
        answer = None
        try:
            async with self._session.request(
                request.method, url, headers=headers, data=body, allow_redirects=False
            ) as got:
                kept = [(k, v) for k, v in got.headers.items() if k.lower() not in HOP]
                answer = web.StreamResponse(status=got.status, reason=got.reason)
                answer.headers.extend(kept)
                await answer.prepare(request)
                async for chunk in got.content.iter_any():
                    await answer.write(chunk)
                await answer.write_eof()
                return answer
        except TimeoutError:
            status = 504
        except aiohttp.ClientError:
            status = 502
        if answer is not None and answer.prepared and request.transport:
            request.transport.abort()  # the client must see that this is not the whole answer
        return answer or web.Response(status=status, text="the server did not answer\n")
