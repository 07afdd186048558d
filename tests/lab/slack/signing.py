"""Signed HTTP: the v0 signature, and the three forms in which Slack posts its payloads."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from urllib.parse import urlencode

from tests.lab.slack.records import Delivery


def sign(secret: str, body: bytes | str, timestamp: int | None = None) -> dict[str, str]:
    """The headers that prove that a body comes from Slack."""
    raw = body.encode() if isinstance(body, str) else body
    stamp = str(int(time.time()) if timestamp is None else timestamp)
    base = b"v0:" + stamp.encode() + b":" + raw
    digest = hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest}"}


def wrap(delivery: Delivery, retry: tuple[int, str] | None = None) -> tuple[bytes, dict[str, str]]:
    """Body and unsigned headers of a delivery."""
    headers = {"User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)"}
    if delivery.kind == "events_api":
        headers["Content-Type"] = "application/json"
        if retry:
            headers["X-Slack-Retry-Num"] = str(retry[0])
            headers["X-Slack-Retry-Reason"] = retry[1]
        return json.dumps(delivery.payload).encode(), headers
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    if delivery.kind == "slash_commands":
        return urlencode(delivery.payload).encode(), headers
    return urlencode({"payload": json.dumps(delivery.payload)}).encode(), headers
