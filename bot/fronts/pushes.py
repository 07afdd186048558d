"""What every push comes to: one deploy of a branch for each environment, asked for in its channel.

Nobody waits for a sentence here, so what is refused is told in the channel of the environment.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web

from bot.config import Config
from bot.dispatcher import Dispatcher, Reply, Request, public
from bot.people import Who

log = logging.getLogger(__name__)
LONGEST = 8 * 1024 * 1024
UNKNOWN = "a second person must say yes, and nobody knows who the first one is"
ADD = "people.X.github names who pushes"
KIND = "pushed"  # the note of an environment: its branch, the head that was told of, and one seen


class Pushes:
    """The way from a verified push to the dispatcher; `counts` is what became of them."""

    def __init__(self, config: Config, dispatcher: Dispatcher) -> None:
        self.config, self.dispatcher = config, dispatcher
        self.counts: Counter[str] = Counter()
        # One thread: many at one instant are recorded in the order in which they came.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="push")

    async def ask(
        self, id: str, environment: str, ref: str, who: Who, by: str, head: str = ""
    ) -> Reply | None:
        """Ask for a deploy as somebody, whose push it is; None where nothing could be recorded.

        With a `head` it is remembered that this one was told of.
        """
        loop = asyncio.get_running_loop()
        reply = await loop.run_in_executor(
            self._pool, self._ask, id, environment, ref, who, by, head
        )
        word = "away" if reply is None else "accepted" if reply.ok else "refused"
        self.counts["duplicate" if reply and reply.duplicate else word] += 1
        return reply

    def _ask(
        self, id: str, environment: str, ref: str, who: Who, by: str, head: str
    ) -> Reply | None:
        reply = self.ask_now(id, environment, ref, who, by)
        if reply is not None and head:
            try:
                self.dispatcher.store.keep_note(KIND, environment, known(ref, head))
            except Exception:
                log.exception("remembering that %r was told of", id)
                return None  # GitHub may send it again, and then it is known
        return reply

    def ask_now(self, id: str, environment: str, ref: str, who: Who, by: str) -> Reply | None:
        """Ask on this thread; what is refused is told in the environment's channel."""
        wanted = self.config.environments[environment]
        person = self.config.people.get(who.name)
        audience = public(wanted.channel, person.slack if person else "")
        if who.stand_in and wanted.approval == "approve":
            reply = Reply(f"{UNKNOWN}\n{ADD}", ok=False)
        else:
            reply = self.dispatcher.ask(Request(id, f"deploy {environment} {ref}", who, audience))
        if not reply.ok:
            try:
                told = f"{by} pushed {ref}, and {environment} does not take it: "
                self.dispatcher.tell(
                    f"{id}:no",
                    environment,
                    told + "; ".join(reply.text.splitlines()),
                    who.front,
                    by,
                )
            except Exception:
                log.exception("telling that %r is refused", id)
                return None
        return reply


def known(branch: str, head: str, seen: str = "") -> dict[str, str]:
    """Return the note of an environment: the head that was told of, and perhaps a later one."""
    return {"branch": branch, "head": head, "seen": seen or head}


def stand_in(config: Config, id: str = "") -> Who:
    """Return who the push of somebody unknown counts as: the service person, or nobody."""
    service = config.github.service if config.github else ""
    return Who("github", id, name=service, stand_in=True)


async def read(request: web.Request, longest: int = LONGEST) -> bytes | None:
    """Return a body as it came; None where it is too long, or ends in the middle."""
    if (request.content_length or 0) > longest:
        return None
    body = bytearray()
    try:
        async for chunk in request.content.iter_chunked(65536):
            body += chunk
            if len(body) > longest:
                return None
    except (web.RequestPayloadError, ConnectionError):
        return None
    return bytes(body)
