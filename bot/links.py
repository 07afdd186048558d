"""Links to the pages: signed, for what one reader may see, and good for a while only."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from bot.errors import Misconfigured
from bot.key import derived

LIFE = 12 * 3600.0  # seconds
QUERY = "pass"
_PASS = re.compile(
    r"(\d{10})\.(all|\d{1,9}|[a-z][a-z0-9-]*(?:\+[a-z][a-z0-9-]*)*)\.([\w-]{43})", re.A
)


@dataclass(frozen=True)
class Pass:
    """What a link opens: `scope` is all, an operation's number, or names of environments."""

    scope: str
    expires: float

    @property
    def environments(self) -> frozenset[str] | None:
        """The environments that are seen; None: all of them."""
        if self.scope == "all":
            return None
        return frozenset() if self.alone else frozenset(self.scope.split("+"))

    @property
    def alone(self) -> bool:
        """Whether it opens the log of one operation, and nothing else."""
        return self.scope.isdecimal()

    def opens(self, number: int, environment: str) -> bool:
        """Say whether an operation's log is seen."""
        seen = self.environments
        return self.scope == str(number) or seen is None or environment in seen


class Links:
    """Makes links below the public address, and reads what they carry."""

    def __init__(self, key: bytes, url: str, now: Callable[[], float] = time.time) -> None:
        self._key, self.url, self.now = derived(key, "links") if key else b"", checked(url), now

    def board(self, environments: Collection[str] | None = None) -> str:
        """Return a link to the board, of some environments or of all; "" where none can be made."""
        scope = "all" if environments is None else "+".join(sorted(environments))
        return self._link("/", scope, self.now() + LIFE)

    def log(self, number: int, since: float) -> str:
        """Return a link to one operation's log, good from a moment on: the same however often."""
        return self._link(f"/operations/{number}", str(number), since + LIFE)

    def read(self, text: str) -> Pass | None:
        """Return what a pass opens, expired or not; None where we have not signed it."""
        found = _PASS.fullmatch(text)
        if not found or not self._key or not hmac.compare_digest(self._signed(text[:-44]), text):
            return None
        return Pass(found[2], float(found[1]))

    def _link(self, path: str, scope: str, expires: float) -> str:
        if not self.url or not self._key or not scope:
            return ""
        return f"{self.url}{path}?{QUERY}={self._signed(f'{int(expires)}.{scope}')}"

    def _signed(self, content: str) -> str:
        code = hmac.new(self._key, content.encode(), hashlib.sha256).digest()
        return f"{content}.{base64.urlsafe_b64encode(code).decode().rstrip('=')}"


def checked(url: str) -> str:
    """Return a public address without a slash at its end; raises Misconfigured."""
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.netloc or parts.query):
        raise Misconfigured(
            f"PACKLEAD_URL (or url in the config) is {url!r}, which is no address of a page",
            "give it as https://packlead.example.org",
        )
    return url.rstrip("/")
