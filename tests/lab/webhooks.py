"""Webhooks as GitHub sends them: signed, and once; what was answered is kept."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
PATIENCE = 10  # seconds that GitHub waits for an answer


@dataclass(frozen=True)
class Delivery:
    """A webhook that was sent, and what was answered (0: nothing)."""

    id: str
    event: str
    payload: Json
    status: int


class Webhooks:
    """Sent to `url` where it is set."""

    def __init__(self, secret: str) -> None:
        self.url, self.secret = "", secret
        self.deliveries: list[Delivery] = []

    def send(self, event: str, payload: Json) -> threading.Thread:
        """Deliver from a thread of its own, which is returned."""
        thread = threading.Thread(target=self.deliver, args=(event, payload), daemon=True)
        thread.start()
        return thread

    def deliver(
        self, event: str, payload: Json, delivery: str = "", **forged: str | None
    ) -> Delivery:
        """Deliver one; with the id of an earlier delivery it is that one again.

        `forged` are headers, with _ for -, that somebody else sends: another value, or None.
        """
        body = json.dumps(payload).encode()
        headers: dict[str, str | None] = {
            "Content-Type": "application/json",
            "User-Agent": "GitHub-Hookshot/lab",
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": delivery or str(uuid.uuid4()),
            "X-Hub-Signature-256": self.sign(body),
        }
        headers |= {name.replace("_", "-"): value for name, value in forged.items()}
        told = {name: value for name, value in headers.items() if value is not None}
        try:
            request = urllib.request.Request(self.url, body, told)
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                status = answer.status
        except urllib.error.HTTPError as error:
            status = error.code
        except OSError:
            status = 0
        sent = Delivery(told["X-GitHub-Delivery"], event, payload, status)
        self.deliveries.append(sent)
        return sent

    def sign(self, body: bytes) -> str:
        """Return the signature that stands in X-Hub-Signature-256."""
        return "sha256=" + hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
