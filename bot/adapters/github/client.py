"""GitHub's REST API over HTTP: pages, limits, and what to say where no good answer comes.

The token goes to the API's own address only: a redirect is not followed.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from bot.errors import Failed

API = "https://api.github.com"
SECONDS = 10.0
PAGE, PAGES = 100, 20
LONGEST = 8 * 1024 * 1024
Json = dict[str, Any]


class Unmoved(urllib.request.HTTPRedirectHandler):
    """Follows no redirect."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Client:
    """Asks and tells one API, with one token."""

    def __init__(self, token: str, api: str = "", seconds: float = SECONDS) -> None:
        self._token, self._api, self._seconds = token, (api or API).rstrip("/"), seconds
        self._opener = urllib.request.build_opener(Unmoved)

    def within(self, seconds: float) -> Client:
        """Return the same that waits no longer than this for an answer."""
        return Client(self._token, self._api, min(seconds, self._seconds))

    def get(self, path: str, what: str) -> Json:
        """Return an object; `what` says what is being done, for whoever reads why it failed."""
        answer = self._ask(path, what, None)
        if not isinstance(answer, dict):
            raise nonsense(what)
        return answer

    def post(self, path: str, told: Mapping[str, Any], what: str) -> Json:
        """Tell something, and return what was made of it."""
        answer = self._ask(path, what, json.dumps(told).encode())
        if not isinstance(answer, dict) or not isinstance(answer.get("id"), int):
            raise nonsense(what)
        return answer

    def pages(self, path: str, what: str, key: str = "") -> list[Json]:
        """Return all of a list, or of the list below `key`, page by page."""
        found: list[Json] = []
        joint = "&" if "?" in path else "?"
        for page in range(1, PAGES + 1):
            answer = self._ask(f"{path}{joint}per_page={PAGE}&page={page}", what, None)
            rows = answer
            if key:
                rows = answer.get(key) if isinstance(answer, dict) else None
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                raise nonsense(what)
            found += rows
            if len(rows) < PAGE:
                return found
        raise Failed(f"{what}: there are more than {PAGE * PAGES}", "nothing was changed")

    def _ask(self, path: str, what: str, body: bytes | None) -> Any:
        request = urllib.request.Request(self._api + path, body)  # noqa: S310  # the owner's own address
        request.add_header("Accept", "application/vnd.github+json")
        request.add_header("X-GitHub-Api-Version", "2022-11-28")
        request.add_header("User-Agent", "packlead")
        request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        if body is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with self._opener.open(request, timeout=self._seconds) as answer:
                text = self._read(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise _refused(what, error) from None
        except (OSError, http.client.HTTPException) as error:
            raise _away(what, error, self._seconds) from None
        try:
            return json.loads(text)
        except ValueError:
            raise nonsense(what) from None

    def _read(self, answer: http.client.HTTPResponse) -> bytes:
        """Read an answer; one that comes in drops is no answer either."""
        until, text = time.monotonic() + self._seconds, b""
        while chunk := answer.read1(65536):
            text += chunk
            if time.monotonic() > until or len(text) > LONGEST:
                raise TimeoutError
        return text


def _refused(what: str, error: urllib.error.HTTPError) -> Failed:
    """Say what an answer that is no success means."""
    if (seconds := _limited(error)) is not None:
        return Failed(
            f"{what}: it limits how often it is asked, again in {seconds} s",
            "nothing was changed; say it again then",
        )
    if error.code == 401:
        return Failed(f"{what}: it does not take the token", "set GITHUB_TOKEN to one that is good")
    if error.code in (403, 404):
        return Failed(
            f"{what}: the token may not, or there is no such thing ({error.code})",
            "see github.repository in the config, and the rights of GITHUB_TOKEN",
        )
    if 300 <= error.code < 400:
        return Failed(
            f"{what}: the repository has another name by now", "correct github.repository"
        )
    if error.code >= 500:
        return Failed(f"{what}: it is out of order ({error.code})", "say it again later")
    return Failed(f"{what}: it answers {error.code}{_message(error)}", "packlead check tells more")


def _limited(error: urllib.error.HTTPError) -> int | None:
    """Return for how long a rate limit holds, in seconds; None where it is something else."""
    after, left = error.headers.get("Retry-After"), error.headers.get("X-RateLimit-Remaining")
    if error.code != 429 and not (error.code == 403 and (after or left == "0")):
        return None
    if after and after.isdecimal():
        return int(after)
    reset = error.headers.get("X-RateLimit-Reset", "")
    return max(1, int(reset) - int(time.time())) if reset.isdecimal() else 60


def _message(error: urllib.error.HTTPError) -> str:
    try:
        told = json.loads(error.read(65536))
        return f", {str(told['message'])[:200]}"
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
        return ""


def _away(what: str, error: Exception, seconds: float) -> Failed:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return Failed(f"{what}: no answer in {seconds:g} s", "say it again later")
    told = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return Failed(
        f"{what}: it cannot be reached: {told}",
        "see that the bot's machine can reach it: packlead check",
    )


def nonsense(what: str) -> Failed:
    return Failed(f"{what}: what it answers makes no sense", "say it again later")
