"""Socket Mode: up to ten connections; any one of them gets a payload, and answers for it."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
import uuid
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from tests.lab.slack.people import APP
from tests.lab.slack.records import Delivery, Json, SlackError
from tests.lab.slack.workspace import Workspace

MOST = 10


@dataclass
class Line:
    """One connection."""

    ws: web.WebSocketResponse
    request: web.Request
    number: int
    refreshing: bool = False


@dataclass
class Sockets:
    workspace: Workspace
    lines: list[Line] = field(default_factory=list)
    opened: int = 0
    _tickets: set[str] = field(default_factory=set)
    _waiting: dict[str, tuple[asyncio.Future[Json], Delivery, float]] = field(default_factory=dict)
    _closing: set[asyncio.Task[None]] = field(default_factory=set)
    _turn: int = 0

    def ticket(self) -> str:
        ticket = secrets.token_urlsafe(18)
        self._tickets.add(ticket)
        return ticket

    async def connect(self, request: web.Request) -> web.StreamResponse:
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.Response(status=408 if ticket else 400, text="this link was used or is none")
        self._tickets.discard(ticket)
        ws = web.WebSocketResponse(heartbeat=20)
        await ws.prepare(request)
        if len(self.lines) >= MOST:
            await ws.send_json({"type": "disconnect", "reason": "too_many_websockets"})
            await ws.close()
            return ws
        self.opened += 1
        line = Line(ws, request, self.opened)
        self.lines.append(line)
        await ws.send_json(self._hello())
        self.workspace.changed()
        try:
            async for message in ws:
                if message.type == WSMsgType.TEXT:
                    self._answered(json.loads(message.data))
        except ConnectionError:
            pass
        finally:
            self._forget(line)
        return ws

    async def send(self, delivery: Delivery, retry: tuple[int, str] | None = None) -> Json:
        """Hand a payload to one connection and wait for its answer (the caller sets a deadline)."""
        envelope: Json = {
            "envelope_id": delivery.envelope_id or str(uuid.uuid4()),
            "type": delivery.kind,
            "payload": delivery.payload,
            "accepts_response_payload": delivery.kind != "events_api",
        }
        if delivery.kind == "events_api":
            attempt, reason = retry or (0, "")
            envelope |= {"retry_attempt": attempt, "retry_reason": reason}
        delivery.envelope_id = envelope["envelope_id"]
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[delivery.envelope_id] = (future, delivery, time.monotonic())
        while (line := self._next()) is not None:
            try:
                await line.ws.send_json(envelope)
            except (ConnectionError, RuntimeError):
                self._forget(line)
                continue
            return await future
        raise SlackError("dispatch_failed")

    async def drop(self, how: str) -> None:
        """close: a close frame. reset: the wire is cut. refresh: first announced, then closed."""
        for line in list(self.lines):
            if how == "reset":
                if line.request.transport is not None:
                    line.request.transport.abort()
            elif how == "refresh":
                line.refreshing = True
                await line.ws.send_json(_disconnect("refresh_requested"))
                closing = asyncio.create_task(_close_later(line))
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)
                continue
            elif how == "disabled":
                await line.ws.send_json(_disconnect("link_disabled"))
                await line.ws.close()
            else:
                await line.ws.close(code=1001)
            self._forget(line)

    def _hello(self) -> Json:
        return {
            "type": "hello",
            "num_connections": len(self.lines),
            "debug_info": {
                "host": "applink-of-the-lab",
                "build_number": 1,
                "approximate_connection_time": 18060,
            },
            "connection_info": {"app_id": APP},
        }

    def _answered(self, body: Json) -> None:
        waiting = self._waiting.pop(str(body.get("envelope_id", "")), None)
        if waiting is None:
            return
        future, delivery, since = waiting
        if future.done():
            delivery.late = time.monotonic() - since
            self.workspace.changed()
            return
        future.set_result(body)

    def _next(self) -> Line | None:
        self.lines = [line for line in self.lines if not line.ws.closed]
        ready = [line for line in self.lines if not line.refreshing]
        if not ready:
            return None
        self._turn += 1
        return ready[self._turn % len(ready)]

    def _forget(self, line: Line) -> None:
        if line in self.lines:
            self.lines.remove(line)
            self.workspace.changed()


def _disconnect(reason: str) -> Json:
    return {"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-of-the-lab"}}


async def _close_later(line: Line) -> None:
    await asyncio.sleep(1.0)
    await line.ws.close(code=1001)
