"""Says each thing once in Slack, although Slack may be away, refuse a block, or lose an answer.

Before a message is posted the operation's note says so, and after. What Slack refused for now is
posted again when it may be. Where the answer was lost nobody can know whether it was posted; then
it is said once more, marked as a repeat, as soon as Slack answers to something harmless: an outage
makes one repeat of a message, however long it is. Where Slack is there and only takes no messages,
it is repeated ever more seldom, for half an hour.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.config import Config
from bot.fronts.cards import Message, Style
from bot.fronts.slack_send import Away, Lost, No, Web
from bot.links import Links
from bot.store import Operation, Store

log = logging.getLogger(__name__)

KIND = "slack"
BLOCK_ERRORS = {"invalid_blocks", "invalid_blocks_format", "invalid_block_type", "block_mismatch"}
LONG_ERRORS = {"msg_too_long", "msg_blocks_too_long"}
SOON, REPEATS = 4, 9  # repeats one after the other; and those that wait for each other
PAUSE = 60.0  # seconds before the first one that waits; before each further one it is twice that
QUIET = {"unfurl_links": False, "unfurl_media": False, "link_names": False}


@dataclass
class Desk:
    """What all who write to Slack share."""

    web: Web
    store: Store
    config: Config
    commands: Collection[str]
    database: Callable[..., Awaitable[Any]] = asyncio.to_thread
    clock: Callable[[], float] = time.monotonic
    running: int = 1  # cards that change now: they share what Slack allows
    styles: dict[str, Style] = field(default_factory=dict)  # what Slack takes, for this process
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def people(self) -> dict[str, str]:
        """The ids in Slack of people of the config."""
        return {name: person.slack for name, person in self.config.people.items() if person.slack}

    def log_of(self, operation: Operation) -> str:
        """Return the link to an operation's log; the same for every edit of its card."""
        links = Links(self.store.key, self.config.url, self.store.now)
        return links.log(operation.number, operation.created)


class Poster:
    """Posts what belongs to one operation. `note` is what the store remembers of it."""

    def __init__(self, operation: str, note: Mapping[str, Any], desk: Desk) -> None:
        self.operation, self.note, self.desk = operation, dict(note), desk
        self.style: Style | None = None  # of this card alone, where Slack found it too long
        self._rest = 0.0  # until when nothing is repeated, by the desk's clock

    async def once(self, what: str, send: Callable[[bool], Awaitable[Any]]) -> dict[str, Any]:
        """Post something; `send` is told whether it is a marked repeat. {} where it gave up."""
        again = self.note.get("sending") == what
        repeats = int(self.note.get("repeats", 0))
        if again and repeats >= REPEATS:
            self._settled()
            return {}
        if again:
            if (wait := self._rest - self.desk.clock()) > 0:
                raise Away("Slack takes no messages", wait)
            await self.desk.web.call("auth.test")
        sending = {"sending": what, "repeats": repeats + again}
        await self.keep(**sending)
        self.note |= sending  # only now: where it could not be kept, nothing is sent
        try:
            answer = await send(again)
        except Away:
            if again:
                self.note["repeats"] = repeats
            else:
                self._settled()
            await self.keep()
            raise
        except Lost:
            if (late := repeats + again - SOON) >= 0:
                self._rest = self.desk.clock() + PAUSE * 2**late
            raise
        except No:
            self._settled()
            raise
        self._settled()
        return {**(answer or {}), "again": again}

    async def styled(self, kind: str, send: Callable[[Style], Awaitable[Any]]) -> Any:
        """Send in the richest style that Slack takes; what it refuses is not tried again."""
        while True:
            style = self.style_of(kind)
            try:
                return await send(style)
            except No as error:
                if style is Style.TEXT or error.error not in BLOCK_ERRORS | LONG_ERRORS:
                    raise
                log.error("Slack refuses the blocks of a %s (%s): simpler now", kind, error)
                simpler = Style(style + 1) if kind == "card" else Style.TEXT
                if error.error not in LONG_ERRORS:
                    self.desk.styles[kind] = simpler
                elif kind == "card":
                    self.style = simpler
                else:
                    return await send(simpler)

    def style_of(self, kind: str) -> Style:
        known = self.desk.styles.get(kind, Style.PLAN)
        return max(known, self.style) if kind == "card" and self.style else known

    async def post(
        self, channel: str, thread: str, message: Message, broadcast: bool = False
    ) -> dict[str, Any]:
        """Call chat.postMessage."""
        place: dict[str, Any] = {"thread_ts": thread} if thread else {}
        if broadcast and thread:
            place["reply_broadcast"] = True
        return await self.desk.web.call(
            "chat.postMessage", channel=channel, **place, **message, **QUIET
        )

    async def keep(self, **more: Any) -> None:
        note = {**self.note, **more}
        await self.desk.database(self.desk.store.keep_note, KIND, self.operation, note)

    def _settled(self) -> None:
        self.note.pop("sending", None)
        self.note.pop("repeats", None)


async def tell(web: Web, audience: Mapping[str, Any], message: Message, url: bool = True) -> None:
    """Say something to the one person who asked, and to nobody else."""
    channel, user = str(audience.get("channel", "")), str(audience.get("user", ""))
    if not user:
        return  # the clock: nobody waits for an answer
    thread = {"thread_ts": t} if (t := str(audience.get("thread") or "")) else {}
    response_url = str(audience.get("response_url") or "")
    if url and response_url:
        try:
            private = {"response_type": "ephemeral", "replace_original": False}
            await web.respond(response_url, message | private)
            return
        except No as error:
            log.info("a response_url was refused (%s): trying chat.postEphemeral", error)
    if not channel or channel.startswith("D"):  # none: it was asked in App Home
        await web.call("chat.postMessage", channel=channel or user, **thread, **message, **QUIET)
        return
    try:
        await web.call("chat.postEphemeral", channel=channel, user=user, **thread, **message)
    except No as error:
        log.info("telling %s in %s: %s; trying a direct message", user, channel, error)
        await web.call("chat.postMessage", channel=user, **message, **QUIET)
