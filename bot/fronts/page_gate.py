"""Who may look at the pages: whoever has a signed link, and whoever sits at this machine.

At this machine means: people reach the pages here only (`url` is empty, or a loopback address), the
connection comes from loopback, nothing says that it was forwarded, and the name that was asked for
is a loopback name too, so that no page of the web can have a browser ask in its name. With a public
address nobody is let in without a link: what a proxy passes on looks as its visitor wants. A link
leaves a cookie for the rest of its life, below what it opens.
"""

from __future__ import annotations

import hmac
import ipaddress
import time
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

from aiohttp import web

from bot.links import QUERY, Links, Pass

HERE = Pass("all", float("inf"))
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")
COOKIES = ("packlead_log", "packlead_board")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

Page = Callable[[web.Request, Pass], Awaitable[web.StreamResponse]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Gate:
    """Lets in or not; `refusal` makes the page for those who are not."""

    def __init__(
        self,
        links: Links,
        refusal: Callable[[str], web.Response],
        now: Callable[[], float] = time.time,
    ) -> None:
        self.links, self.refusal, self.now = links, refusal, now

    def guarded(self, page: Page) -> Handler:
        """Return a handler that shows a page to whoever may see one at all."""

        async def handle(request: web.Request) -> web.StreamResponse:
            seen, why = self.look(request)
            response = self.refusal(why) if seen is None else await page(request, seen)
            if not response.prepared:
                response.headers.update(HEADERS)
                if seen is not None and request.query.get(QUERY):
                    self._remember(response, seen, request.query[QUERY])
            return response

        return handle

    def look(self, request: web.Request) -> tuple[Pass | None, str]:
        """Return what somebody may see, or why nothing."""
        if here(request, self.links.url):
            return HERE, ""
        told = [request.query.get(QUERY, ""), *(request.cookies.get(name, "") for name in COOKIES)]
        number = request.match_info.get("number", "")
        passes = [p for p in map(self.links.read, told) if p]
        fresh = [p for p in passes if p.expires > self.now()]
        # Of two the one for this very page: the other may not open it.
        fresh.sort(key=lambda p: (p.scope != number, p.alone))
        if fresh:
            return fresh[0], ""
        if passes:
            return None, "This link has expired."
        return None, "This link was not made by Packlead." if any(
            told
        ) else "This page needs a link."

    def _remember(self, response: web.StreamResponse, seen: Pass, text: str) -> None:
        if seen.expires == HERE.expires:
            return
        name, path = (COOKIES[0], f"/operations/{seen.scope}") if seen.alone else (COOKIES[1], "/")
        response.set_cookie(
            name,
            text,
            path=path,
            max_age=max(0, int(seen.expires - self.now())),
            httponly=True,
            samesite="Lax",  # or a link on GitHub would not open; nothing is done here by looking
            secure=self.links.url.startswith("https:"),
        )


def here(request: web.Request, url: str) -> bool:
    """Say whether a request comes from this machine itself; `url` is where people see the pages."""
    if url and not _is_loopback(urlsplit(url).hostname or ""):
        return False
    if any(name in request.headers for name in FORWARDED) or request.version < (1, 1):
        return False  # HTTP/1.0: so asks a proxy that says nothing of whom it asks for
    peer = request.transport.get_extra_info("peername") if request.transport else None
    if not peer:
        return False
    return _is_loopback(str(peer[0])) and _is_loopback(host_of(request.host))


def host_of(host: str) -> str:
    """Return a Host header without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


def bears(request: web.Request, token: str) -> bool:
    """Say whether a request carries this bearer token."""
    told = request.headers.get("Authorization", "").encode(errors="surrogateescape")
    return bool(token) and hmac.compare_digest(told, f"Bearer {token}".encode())


def headers(more: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of an answer that is written bit by bit."""
    return {**HEADERS, **more}


def _is_loopback(address: str) -> bool:
    if address.lower() == "localhost":
        return True
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return found.is_loopback or bool(mapped and mapped.is_loopback)
