"""POST /deploys: any other git host, or CI, asks for a deploy by a signed token.

A token is `CONTENT.SIGNATURE`: JSON in base64url, and its HMAC-SHA256 in hex. It holds
environment, ref or commit, person, expires and nonce; it is good once, then it answers the same.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import pwd
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from aiohttp import web

from bot.command import REF, read_ref
from bot.config import Config
from bot.errors import Misconfigured, Misunderstood, did_you_mean
from bot.fronts.pushes import Pushes
from bot.people import Who

PATH = "/deploys"
SECRET = "PACKLEAD_DEPLOYS_SECRET"  # noqa: S105  # the name of the variable, not its value
SHORTEST = 16  # characters of a secret
LONGEST_LIFE = 86400.0  # seconds
_TOKEN = re.compile(r"Bearer ([A-Za-z0-9_-]{1,2000})\.([0-9a-f]{64})")
_NONCE = re.compile(r"[A-Za-z0-9_-]{8,64}")


@dataclass(frozen=True)
class Ticket:
    """What a token holds."""

    environment: str
    person: str
    expires: float
    nonce: str
    ref: str = ""
    commit: str = ""


class Deploys:
    """Takes tokens. What is not signed with the secret leaves no trace but a count."""

    def __init__(
        self, config: Config, pushes: Pushes, secret: str, now: Callable[[], float]
    ) -> None:
        self.config, self.pushes, self.now = config, pushes, now
        self.secret = _checked(secret)

    def routes(self) -> list[web.RouteDef]:
        return [web.post(PATH, self.hear)]

    async def hear(self, request: web.Request) -> web.Response:
        """Verify, then read; a token that was here before is answered as it was then."""
        ticket = opened(self.secret, request.headers.get("Authorization", ""))
        if ticket is None:
            self.pushes.counts["forged"] += 1
            return web.Response(status=401)
        now = self.now()
        if not now <= ticket.expires <= now + LONGEST_LIFE:
            self.pushes.counts["expired"] += 1
            why = "expired" if ticket.expires < now else "good for more than a day"
            return web.json_response({"error": f"this token is {why}"}, status=401)
        if wrong := self._wrong(ticket):
            return web.json_response({"error": wrong}, status=400)
        who = Who("deploys", ticket.person, name=ticket.person)
        ref = ticket.ref or ticket.commit
        reply = await self.pushes.ask(
            f"token:{ticket.nonce}", ticket.environment, ref, who, ticket.person
        )
        if reply is None:
            return web.json_response({"error": "the database is away"}, status=503)
        if not reply.ok:
            return web.json_response({"error": reply.text}, status=409)
        said = {"operation": reply.operation, "text": reply.text, "duplicate": reply.duplicate}
        return web.json_response(said, status=200 if reply.duplicate else 202)

    def _wrong(self, ticket: Ticket) -> str:
        if ticket.environment not in self.config.environments:
            return f"there is no environment {ticket.environment!r}"
        if not _NONCE.fullmatch(ticket.nonce):
            return "a nonce is 8 to 64 letters, digits, - and _"
        if bool(ticket.ref) == bool(ticket.commit):
            return "name either a ref or a commit"
        if ticket.commit and not re.fullmatch(r"[0-9a-f]{40}", ticket.commit):
            return "a commit is 40 hex digits"
        if ticket.ref and not REF.fullmatch(ticket.ref):
            return f"{ticket.ref!r} cannot be a ref here"
        return ""


def sealed(secret: str, ticket: Ticket) -> str:
    """Return the token of a ticket."""
    told = json.dumps({k: v for k, v in asdict(ticket).items() if v})
    content = base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")
    return f"{content}.{_signature(secret, content)}"


def made(
    config: Config,
    environ: Mapping[str, str],
    environment: str,
    ref: str,
    person: str,
    seconds: float,
) -> str:
    """Return a token for one deploy; raises BotError where it could not be taken."""
    secret = _checked(environ.get(SECRET, "").strip())
    if environment not in config.environments:
        known = did_you_mean(environment, config.environments)
        raise Misunderstood(f'there is no environment "{environment}"', known)
    if not person:
        me = pwd.getpwuid(os.getuid()).pw_name
        person = next((name for name, p in config.people.items() if p.unix == me), me)
    if person not in config.people:
        known = did_you_mean(person, config.people)
        raise Misunderstood(f'there is no person "{person}" in the config', known or "--as NAME")
    if seconds > LONGEST_LIFE:
        raise Misunderstood("a token is good for a day at most", "say --for 24h, or less")
    ref = read_ref(ref or config.environments[environment].branch, config)
    ticket = Ticket(environment, person, time.time() + seconds, secrets.token_hex(16), ref)
    return sealed(secret, ticket)


def opened(secret: str, header: str) -> Ticket | None:
    """Return the ticket of an Authorization header; None where it is not signed by us."""
    found = _TOKEN.fullmatch(header)
    if not found:
        return None
    content, signature = found.groups()
    if not hmac.compare_digest(_signature(secret, content), signature):
        return None
    try:
        told = json.loads(base64.urlsafe_b64decode(content + "=" * (-len(content) % 4)))
        ticket = Ticket(**told)
    except (ValueError, TypeError, RecursionError):
        return None
    texts = (ticket.environment, ticket.person, ticket.nonce, ticket.ref, ticket.commit)
    well = all(isinstance(t, str) for t in texts) and type(ticket.expires) in (int, float)
    return ticket if well else None


def _checked(secret: str) -> str:
    if len(secret) < SHORTEST:
        raise Misconfigured(
            f"{SECRET} has {len(secret)} characters, and {SHORTEST} are needed",
            "make one with: openssl rand -hex 32",
        )
    return secret


def _signature(secret: str, content: str) -> str:
    return hmac.new(secret.encode(), content.encode(), hashlib.sha256).hexdigest()
