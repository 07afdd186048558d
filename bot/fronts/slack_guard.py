"""The door for signed HTTP: what Slack did not sign, or has sent before, does not come in.

Everything that is not exactly a request of Slack's is answered with 401 and without a word, before
any of it is parsed; a signature is good once.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

log = logging.getLogger(__name__)

WINDOW = 300.0  # seconds that a request may be old, or young
KEPT = 2 * WINDOW + 60.0
LONGEST = 1024 * 1024
_TIME = re.compile(r"[0-9]{10}")
_SIGNATURE = re.compile(r"v0=[0-9a-f]{64}")

Handler = Callable[[str, web.Request], Awaitable[web.Response]]


class Guard:
    """Lets a request through to `handler`, with its body, or not."""

    def __init__(
        self,
        secret: str,
        first: Callable[[str], Awaitable[bool]],
        handler: Handler,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.secret, self.first, self.handler, self.clock = secret, first, handler, clock

    async def __call__(self, request: web.Request) -> web.Response:
        signature = request.headers.get("X-Slack-Signature", "")
        stamp = request.headers.get("X-Slack-Request-Timestamp", "")
        if not _SIGNATURE.fullmatch(signature) or not _TIME.fullmatch(stamp):
            return _no()
        if abs(self.clock() - int(stamp)) > WINDOW:
            return _no()
        body = await self._body(request)
        if body is None or not self._signed(stamp, body, signature):
            return _no()
        try:
            text = body.decode()
        except UnicodeDecodeError:
            return _no()
        try:
            new = await self.first(f"slack-signature:{signature}")
        except Exception:
            log.exception("remembering a signature")
            return web.Response(status=503)  # not remembered, so not let in
        if not new:
            # Slack repeats an event that it believes unanswered; anybody else has recorded it.
            retried = "X-Slack-Retry-Num" in request.headers and text.startswith("{")
            return web.Response() if retried else _no()
        return await self.handler(text, request)

    async def _body(self, request: web.Request) -> bytes | None:
        if (request.content_length or 0) > LONGEST:
            return None
        body = bytearray()
        try:
            async for chunk in request.content.iter_chunked(65536):
                body += chunk
                if len(body) > LONGEST:
                    return None
        except (web.RequestPayloadError, ConnectionError):
            return None
        return bytes(body)

    def _signed(self, stamp: str, body: bytes, signature: str) -> bool:
        base = b"v0:" + stamp.encode() + b":" + body
        digest = hmac.new(self.secret.encode(), base, hashlib.sha256).hexdigest()
        return hmac.compare_digest(f"v0={digest}".encode(), signature.encode())


def _no() -> web.Response:
    return web.Response(status=401)
