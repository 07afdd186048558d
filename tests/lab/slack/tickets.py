"""Trigger ids (3 s, once) and response URLs (30 minutes, 5 uses)."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.lab.slack.records import SlackError

TRIGGER_SECONDS = 3.0
RESPONSE_SECONDS = 30 * 60.0
RESPONSE_USES = 5


@dataclass
class Trigger:
    id: str
    user: str
    made: float
    view: str = ""  # the view it was pressed in
    used: bool = False


@dataclass
class ResponseUrl:
    key: str
    user: str
    channel: str
    made: float
    message_ts: str = ""
    ephemeral: bool = False
    thread_ts: str = ""
    uses: int = 0


class Tickets:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.trigger_seconds = TRIGGER_SECONDS
        self.triggers: dict[str, Trigger] = {}
        self.urls: dict[str, ResponseUrl] = {}
        self._count = itertools.count(1)

    def trigger(self, user: str, view: str = "") -> str:
        key = f"{next(self._count)}.{secrets.randbelow(10**10)}.{secrets.token_hex(16)}"
        self.triggers[key] = Trigger(key, user, self.clock(), view)
        return key

    def exchange(self, key: str) -> Trigger:
        trigger = self.triggers.get(key)
        if trigger is None:
            raise SlackError("invalid_trigger_id")
        if self.clock() - trigger.made > self.trigger_seconds:
            raise SlackError("expired_trigger_id")
        if trigger.used:
            raise SlackError("exchanged_trigger_id")
        trigger.used = True
        return trigger

    def response_url(
        self,
        user: str,
        channel: str,
        message_ts: str = "",
        ephemeral: bool = False,
        thread_ts: str = "",
    ) -> str:
        """The key of a new response URL; the server knows the address that goes before it."""
        key = f"{secrets.randbelow(10**12)}/{secrets.token_urlsafe(18)}"
        self.urls[key] = ResponseUrl(
            key, user, channel, self.clock(), message_ts, ephemeral, thread_ts
        )
        return key

    def use(self, key: str) -> ResponseUrl:
        url = self.urls.get(key)
        if url is None:
            raise SlackError("no_such_url")
        if self.clock() - url.made > RESPONSE_SECONDS:
            raise SlackError("expired_url")
        if url.uses >= RESPONSE_USES:
            raise SlackError("used_url")
        url.uses += 1
        return url
