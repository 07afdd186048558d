"""Calls of Slack's Web API, and what went wrong told apart by whether it was done.

Nothing is tried again in here: whoever calls knows whether it is safe to. Slack's limits are kept
beforehand where they are known, and what Slack says about waiting is remembered for each method.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from typing import Any
from urllib import request
from urllib.parse import urlsplit

import aiohttp

from bot.counts import COUNTS

log = logging.getLogger(__name__)

API = "https://slack.com/api/"
HOOKS = "https://hooks.slack.com/"
MINUTE = 60.0
UPDATES = 48  # of chat.update in a minute: Slack takes about 50 of an app, over all channels
RESERVE = 12  # of these are kept for what must be seen at once
POSTS, POST_SECONDS = 3.0, 1.1  # a channel takes a few messages at once, then one a second
FORMS = re.compile(r"(users|usergroups|auth|apps)\.")  # these do not read JSON
LATER = {
    "ratelimited", "rate_limited", "message_limit_exceeded", "service_unavailable",
    "team_added_to_org", "request_timeout", "accesslimited",
}  # fmt: skip
# "It's possible some aspect of the operation succeeded", says docs.slack.dev of these two.
PERHAPS = {"internal_error", "fatal_error"}
KEY = {"invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive"}


class Away(Exception):
    """Slack did not do it; it may be asked again after some seconds."""

    def __init__(self, why: str, seconds: float = 0.0) -> None:
        super().__init__(why)
        self.seconds = seconds


class Lost(Exception):
    """Slack may have done it: the answer did not come."""


class No(Exception):
    """Slack said no, and would say no again."""

    def __init__(self, error: str, more: object = "") -> None:
        super().__init__(f"{error} {more}".strip())
        self.error = error


class Web:
    """Slack's Web API with one token."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        token: str,
        url: str = "",
        environ: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.session, self.token, self.clock = session, token, clock
        self.url = (url or API).rstrip("/") + "/"
        self.proxy = proxy_for(self.url, environ or {})
        self._until: dict[str, float] = {}
        self._updates: deque[float] = deque()
        self._posts: dict[str, tuple[float, float]] = {}
        self._failures: dict[str, int] = defaultdict(int)

    async def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Call a method; raises Away, Lost or No."""
        wait = self._until.get(method, 0.0) - self.clock()
        if wait > 0:
            raise Away(f"{method} has to wait", wait)
        if method == "chat.update":
            self._updates.append(self.clock())
        headers = {"Authorization": f"Bearer {self.token}"}
        body: dict[str, Any] = {"json": arguments}
        if FORMS.match(method):
            body = {"data": {k: _form(v) for k, v in arguments.items()}}
        return await self._send(method, self.url + method, headers, body)

    async def respond(self, url: str, message: Mapping[str, Any]) -> None:
        """Answer through a response_url."""
        if not self.ours(url):
            raise No("foreign_response_url")
        await self._send("response_url", url, {}, {"json": dict(message)})

    def ours(self, url: str) -> bool:
        """Say whether a response_url leads to Slack, and nowhere else."""
        if url.startswith(HOOKS):
            return True
        here, there = urlsplit(self.url), urlsplit(url)
        return self.url != API and (here.scheme, here.netloc) == (there.scheme, there.netloc)

    def room(self, urgent: bool) -> float:
        """Return after how many seconds a message may be edited: 0 where it may now."""
        now = self.clock()
        while self._updates and now - self._updates[0] >= MINUTE:
            self._updates.popleft()
        quota = UPDATES if urgent else UPDATES - RESERVE
        wait = 0.0
        if len(self._updates) >= quota:
            wait = self._updates[len(self._updates) - quota] + MINUTE - now
        return max(wait, self._until.get("chat.update", 0.0) - now, 0.0)

    def room_to_post(self, channel: str) -> float:
        """Return after how many seconds a channel may get one more message, and count it."""
        now = self.clock()
        tokens, since = self._posts.get(channel, (POSTS, now))
        tokens = min(POSTS, tokens + (now - since) / POST_SECONDS)
        self._posts[channel] = (tokens - (tokens >= 1), now)
        return 0.0 if tokens >= 1 else (1 - tokens) * POST_SECONDS

    async def _send(
        self, method: str, url: str, headers: dict[str, str], body: dict[str, Any]
    ) -> dict[str, Any]:
        try:
            return await self._post(method, url, headers, body)
        except (Away, Lost, No) as error:
            COUNTS.slack_error(method, type(error).__name__.lower())
            raise

    async def _post(
        self, method: str, url: str, headers: dict[str, str], body: dict[str, Any]
    ) -> dict[str, Any]:
        try:
            async with self.session.post(
                url, headers=headers, proxy=self.proxy or None, allow_redirects=False, **body
            ) as response:
                answer = _read(await response.read())
                status, after = response.status, response.headers.get("Retry-After", "")
        except aiohttp.ClientConnectorError as error:
            raise self._away(method, f"{method}: {error}") from None
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientProxyConnectionError) as error:
            raise self._away(method, f"{method}: {error}") from None
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise Lost(f"{method}: {type(error).__name__}") from None
        problem = str(answer.get("error", ""))
        if status == 429 or problem in ("ratelimited", "rate_limited"):
            seconds = float(after) if re.fullmatch(r"\d{1,4}", after) else 5.0
            self._until[method] = self.clock() + seconds
            raise Away(f"{method}: told to wait {seconds:.0f} s", seconds)
        if status == 503 or problem in LATER:
            raise self._away(method, f"{method}: {problem or status}")
        unread = status == 200 and "ok" not in answer and method != "response_url"
        if status >= 500 or problem in PERHAPS or unread:
            raise Lost(f"{method}: {problem or status}")
        self._failures[method] = 0
        if status != 200 or (answer and not answer.get("ok", True)):
            if problem in KEY:
                log.error("Slack does not take the token: %s", problem)
                raise Away(f"{method}: {problem}", 30.0)
            raise No(problem or f"status_{status}", answer.get("response_metadata", ""))
        return answer

    def _away(self, method: str, why: str) -> Away:
        self._failures[method] += 1
        return Away(why, min(10.0, 0.25 * 2 ** min(self._failures[method], 6)))


def proxy_for(url: str, environ: Mapping[str, str]) -> str:
    """Return the proxy for a URL; NO_PROXY is kept, which Slack's own library does not."""
    host = urlsplit(url).hostname or ""
    found = {k.lower(): v for k, v in environ.items() if k.lower().endswith("_proxy")}
    bypass: Callable[[str, dict[str, str]], bool] = vars(request)["proxy_bypass_environment"]
    if bypass(host, {"no": found.get("no_proxy", "")}):
        return ""
    scheme = urlsplit(url).scheme
    return found.get(f"{scheme}_proxy", "") or found.get("all_proxy", "")


def _form(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _read(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
