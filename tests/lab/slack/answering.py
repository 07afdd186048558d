"""One call of the app, answered or failed on command, and written into the log either way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from tests.lab.slack.checks import invalid, refuse
from tests.lab.slack.faults import Fault
from tests.lab.slack.hub import Hub
from tests.lab.slack.records import Call, Json, SlackError


class Failing(Exception):
    """No proper answer: a bare HTTP status, or (0) a connection that is cut."""

    def __init__(
        self, fault: str, status: int, retry_after: int = 1, text: str = "upstream request failed"
    ) -> None:
        super().__init__(fault or str(status))
        self.fault, self.status, self.retry_after = fault, status, retry_after
        self.text = text


def _always_fine(error: SlackError) -> int:
    return 200


async def answer(
    hub: Hub,
    request: web.Request,
    call: Call,
    read: Callable[[], Awaitable[None]],
    run: Callable[[], Json],
    status: Callable[[SlackError], int] = _always_fine,
) -> web.StreamResponse:
    """Read the arguments, misbehave if told to, do it, and answer as Slack does."""
    since = time.monotonic()
    try:
        await read()
        fault = await _misbehave(hub, call)
        call.answer = run()
        if fault and fault.kind == "after":
            hub.workspace.changed()  # it can be seen by now
            await asyncio.to_thread(fault.call)
        if call.fault in ("lost", "after"):
            call.answer = None
            return _cut(request)
    except SlackError as error:
        call.answer = refuse(hub.workspace, call.method, error, call.args)
        call.status = status(error)
    except Failing as failing:
        return _failed(request, call, failing)
    finally:
        call.seconds = time.monotonic() - since
        with hub.workspace.lock:
            hub.workspace.calls.append(call)
        hub.workspace.changed()
    return web.json_response(call.answer, status=call.status)


async def _misbehave(hub: Hub, call: Call) -> Fault | None:
    if hub.away:
        raise Failing("away", 503)
    fault = hub.faults.take(call.method, call.args)
    if fault is None:
        return None
    call.fault = fault.kind
    if fault.kind == "before":
        await asyncio.to_thread(fault.call)
    if fault.kind in ("429", "500", "503"):
        raise Failing(fault.kind, int(fault.kind), fault.retry_after)
    if fault.kind in ("dropped", "before"):
        raise Failing(fault.kind, 0)
    if fault.kind == "nonsense":
        raise Failing(fault.kind, 200, text=fault.text)
    if fault.kind == "slow":
        await asyncio.sleep(fault.delay)
    if fault.kind == "error":
        raise SlackError(fault.error or "internal_error")
    if fault.kind == "invalid_blocks":
        why = [f"unsupported type: {kind}" for kind in fault.types] or ["invalid blocks"]
        view = call.method.startswith("views.")
        raise invalid("invalid_arguments" if view else "invalid_blocks", why)
    return fault


def _failed(request: web.Request, call: Call, failing: Failing) -> web.Response:
    call.status, call.fault = failing.status, failing.fault
    if failing.status == 0:
        return _cut(request)
    if failing.status == 429:
        call.answer = {"ok": False, "error": "ratelimited"}
        headers = {"Retry-After": str(failing.retry_after)}
        return web.json_response(call.answer, status=429, headers=headers)
    return web.Response(status=failing.status, text=failing.text)


def _cut(request: web.Request) -> web.Response:
    """The connection ends without an answer: whoever called cannot know what was done."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
