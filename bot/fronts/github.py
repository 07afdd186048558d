"""The GitHub front: a signed push to the branch of an environment asks for its deploy.

A webhook says that there is something new, never what: the line names the branch, and a deploy
reads its head when it begins. So it does not matter in which order webhooks come.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
from typing import Any
from urllib.parse import parse_qs, quote

from aiohttp import web

from bot.config import Config
from bot.fronts.pushes import Pushes, read, stand_in
from bot.people import Who

log = logging.getLogger(__name__)
PATH = "/webhooks/github"
HEADS = "refs/heads/"
NOTHING = "0" * 40
_SIGNATURE = re.compile(r"sha256=[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
Json = dict[str, Any]


class GitHub:
    """Takes webhooks. What is not signed with the secret leaves no trace but a count."""

    def __init__(self, config: Config, pushes: Pushes, secret: str) -> None:
        self.config, self.pushes, self._secret = config, pushes, secret.encode()

    def routes(self) -> list[web.RouteDef]:
        return [web.post(PATH, self.hear)]

    async def hear(self, request: web.Request) -> web.Response:
        """Verify, then read; nothing is parsed before its signature is known to be good."""
        signature = request.headers.get("X-Hub-Signature-256", "")
        if not _SIGNATURE.fullmatch(signature):
            return self._forged()
        body = await read(request)
        if body is None or not self._signed(body, signature):
            return self._forged()
        event = request.headers.get("X-GitHub-Event", "")
        if event not in ("push", "ping"):
            return _nothing(f"{event[:40]} means nothing here")
        try:
            told = _payload(body, request.content_type)
            return web.json_response({"ok": True}) if event == "ping" else await self._push(told)
        except (KeyError, TypeError, ValueError, RecursionError):
            log.warning("a signed webhook makes no sense: %s", event)
            return web.json_response({"error": "this is no push"}, status=400)

    async def _push(self, told: Json) -> web.Response:
        ref, before, after = str(told["ref"]), str(told["before"]), str(told["after"])
        if not _COMMIT.fullmatch(before) or not _COMMIT.fullmatch(after):
            raise ValueError("no commits")
        name, ours = str(told["repository"]["full_name"]), self.config.github
        if ours and name.lower() != ours.repository.lower():
            return _nothing(f"{name} is another repository")
        if not ref.startswith(HEADS):
            return _nothing(f"{ref} is no branch")
        branch = ref.removeprefix(HEADS)
        if told.get("deleted") or after == NOTHING:
            return _nothing(f"{branch} is gone")
        wanting = [e.name for e in self.config.environments.values() if e.auto == branch]
        if not wanting:
            return _nothing(f"no environment deploys {branch} by itself")
        sender, at = told.get("sender"), _at(told)
        sender = sender if isinstance(sender, dict) else {}
        who, by = self.who(sender), str(sender.get("login") or "somebody")
        replies: Json = {}
        new = False
        for environment in wanting:
            # The content is the key: a delivery's id is not signed, and may be another one.
            id = f"push:{environment}:{before[:12]}:{after[:12]}{at}"
            reply = await self.pushes.ask(id, environment, branch, who, by, after)
            if reply is None:
                return web.json_response({"error": "the database is away"}, status=503)
            replies[environment] = reply.text
            new = new or (reply.ok and not reply.duplicate)
        return web.json_response(replies, status=202 if new else 200)

    def who(self, sender: Json) -> Who:
        """Return who pushed: a person of the config by id or login, or the service person."""
        id, login = str(sender.get("id") or ""), str(sender.get("login") or "")
        for name, person in self.config.people.items():
            # A login may be all digits, and then be the id of somebody else.
            known = id if person.github.isdecimal() else login
            if person.github and person.github.lower() == known.lower():
                return Who("github", id, name=name)
        return stand_in(self.config, id)  # no login, for the same reason

    def _signed(self, body: bytes, signature: str) -> bool:
        digest = hmac.new(self._secret, body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(f"sha256={digest}".encode(), signature.encode())

    def _forged(self) -> web.Response:
        self.pushes.counts["forged"] += 1
        return web.Response(status=401)


def _payload(body: bytes, content_type: str) -> Json:
    """Read a body in either of the two forms that GitHub offers."""
    text = body.decode()
    if content_type == "application/x-www-form-urlencoded":
        text = parse_qs(text)["payload"][0]
    told = json.loads(text)
    if not isinstance(told, dict):
        raise ValueError("no object")
    return told


def _at(told: Json) -> str:
    """Return when it was pushed, where it says so: a branch may take the same way twice."""
    at = told["repository"].get("pushed_at")
    return f":{at}" if isinstance(at, int) else ""


def _nothing(why: str) -> web.Response:
    """Answer that there is nothing to do: 204 has no body, so the word is in a header.

    It repeats headers, which are not signed: what is no text in them must not be an error of ours.
    """
    said = quote(why, safe=" /.:_-", errors="replace")[:300]
    return web.Response(status=204, headers={"X-Packlead": said})
