"""Slack's rate limits: tiers count calls of one method in a minute, posting counts per channel.

`speed` is how many times as fast a quota comes back as at Slack; None means no limits.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict, deque
from collections.abc import Callable

TIERS = {1: 1, 2: 20, 3: 50, 4: 100}
TIER_OF = {
    "apps.connections.open": 3,
    "auth.test": 4,
    "chat.update": 3,
    "chat.delete": 3,
    "chat.postEphemeral": 4,
    "chat.getPermalink": 4,
    "conversations.info": 3,
    "conversations.open": 3,
    "conversations.list": 2,
    "conversations.members": 4,
    "users.info": 4,
    "users.list": 2,
    "usergroups.list": 2,
    "usergroups.users.list": 2,
    "views.open": 4,
    "views.update": 4,
    "views.push": 4,
    "views.publish": 4,
    "reactions.add": 3,
    "reactions.remove": 2,
    "files.getUploadURLExternal": 4,
    "files.completeUploadExternal": 4,
}
POST_BURST = 5  # Slack says "short bursts" are allowed, and no number
POSTS_A_SECOND = 1.0
WORKSPACE_POSTS = 300  # "several hundred messages a minute" for a whole workspace
MINUTE = 60.0


class Rates:
    def __init__(
        self, speed: float | None = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.speed = speed
        self.clock = clock
        self._calls: dict[str, deque[float]] = defaultdict(deque)
        self._tokens: dict[str, tuple[float, float]] = {}

    def take(self, method: str, channel: str = "") -> int:
        """0, or after how many seconds this call may be tried again. Refused ones are free."""
        if not self.speed:
            return 0
        now = self.clock() * self.speed
        if method == "chat.postMessage":
            return self._window(method, WORKSPACE_POSTS, now) or self._bucket(channel, now)
        tier = TIER_OF.get(method)
        return self._window(method, TIERS[tier], now) if tier else 0

    def _window(self, key: str, quota: int, now: float) -> int:
        calls = self._calls[key]
        while calls and now - calls[0] >= MINUTE:
            calls.popleft()
        if len(calls) >= quota:
            return self._seconds(MINUTE - (now - calls[0]))
        calls.append(now)
        return 0

    def _bucket(self, channel: str, now: float) -> int:
        tokens, since = self._tokens.get(channel, (float(POST_BURST), now))
        tokens = min(POST_BURST, tokens + (now - since) * POSTS_A_SECOND)
        if tokens < 1:
            self._tokens[channel] = (tokens, now)
            return self._seconds((1 - tokens) / POSTS_A_SECOND)
        self._tokens[channel] = (tokens - 1, now)
        return 0

    def _seconds(self, wait: float) -> int:
        return max(1, math.ceil(wait / (self.speed or 1)))
