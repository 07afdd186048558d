"""Brings payloads to the app, measures its acks, and tries events again as Slack does."""

from __future__ import annotations

import asyncio
import json
import time

import aiohttp

from tests.lab.slack.records import Delivery, Json, SlackError
from tests.lab.slack.signing import sign, wrap
from tests.lab.slack.sockets import Sockets
from tests.lab.slack.workspace import Workspace

ACK_SECONDS = 3.0
RETRY_AFTER = (0.1, 1.0, 5.0)  # Slack: almost at once, after 1 minute, after 5 minutes


class Courier:
    def __init__(self, workspace: Workspace, sockets: Sockets, secret: str) -> None:
        self.workspace = workspace
        self.sockets = sockets
        self.secret = secret
        self.events_url = ""
        self.ack_seconds = ACK_SECONDS
        self.retry_after: tuple[float, ...] = RETRY_AFTER
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def deliver(self, delivery: Delivery) -> Delivery:
        """Hand a payload over and wait for the ack or the deadline."""
        self.workspace.deliveries.append(delivery)
        await self._attempt(delivery)
        if not delivery.acked and delivery.kind == "events_api" and not delivery.no_retry:
            task = asyncio.ensure_future(self._again(delivery))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self.workspace.changed()
        return delivery

    async def repeat(self, delivery: Delivery) -> Delivery:
        """The same payload once more: the same bytes and signature over HTTP."""
        copy = Delivery(
            delivery.kind,
            delivery.payload,
            user=delivery.user,
            channel=delivery.channel,
            trigger_id=delivery.trigger_id,
            response_url=delivery.response_url,
            envelope_id=delivery.envelope_id,
            body=delivery.body,
            headers=dict(delivery.headers),
        )
        self.workspace.deliveries.append(copy)
        await self._attempt(copy)
        self.workspace.changed()
        return copy

    async def post(
        self, url: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, str, dict[str, str]]:
        """One raw request to the app: status, body, headers."""
        async with self._http().post(url, data=body, headers=headers) as answer:
            return answer.status, await answer.text(), dict(answer.headers)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._session is not None:
            await self._session.close()

    async def _attempt(self, delivery: Delivery, retry: tuple[int, str] | None = None) -> None:
        since = time.monotonic()
        send = self._over_http if self.events_url else self._over_socket
        try:
            delivery.answer = await asyncio.wait_for(send(delivery, retry), self.ack_seconds)
            delivery.acked, delivery.error = True, ""
        except TimeoutError:
            delivery.error = "operation_timeout"
        except (SlackError, aiohttp.ClientError, OSError):
            delivery.error = "dispatch_failed"
        delivery.seconds = time.monotonic() - since

    async def _over_socket(self, delivery: Delivery, retry: tuple[int, str] | None) -> Json | None:
        delivery.via = "socket"
        if retry:
            delivery.envelope_id = ""
        body = await self.sockets.send(delivery, retry)
        payload = body.get("payload")
        return payload if isinstance(payload, dict) else None

    async def _over_http(self, delivery: Delivery, retry: tuple[int, str] | None) -> Json | None:
        delivery.via = "http"
        if not delivery.body or retry:
            delivery.body, headers = wrap(delivery, retry)
            delivery.headers = headers | sign(self.secret, delivery.body)
        delivery.status, text, headers = await self.post(
            self.events_url, delivery.body, delivery.headers
        )
        delivery.no_retry = headers.get("X-Slack-No-Retry") == "1"
        kind = headers.get("Content-Type", "")
        if delivery.status != 200:
            raise SlackError("dispatch_failed")
        if kind.startswith("application/json") and text.strip():
            body = json.loads(text)
            return body if isinstance(body, dict) else None
        return {"text": text} if text.strip() else None

    async def _again(self, delivery: Delivery) -> None:
        for number, wait in enumerate(self.retry_after, start=1):
            await asyncio.sleep(wait)
            reason = "http_timeout" if delivery.error == "operation_timeout" else "http_error"
            delivery.attempts += 1
            await self._attempt(delivery, (number, reason))
            self.workspace.changed()
            if delivery.acked or delivery.no_retry:
                return

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=None), auto_decompress=True
            )
        return self._session
