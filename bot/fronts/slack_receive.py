"""Hears Slack: verify, say who speaks, ask the dispatcher, answer. Nothing before, nothing after.

A listener never waits for Slack: who people are is known from memory, and what cannot be said in
the ack itself is left to the audience. Bolt runs each listener to its end before it answers, so
that an event is acknowledged when it is recorded, and no answer waits for Bolt's polling.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.web.async_client import AsyncWebClient
from sqlalchemy.exc import SQLAlchemyError

from bot import leaks
from bot.command import Command
from bot.config import Config
from bot.counts import COUNTS
from bot.dispatcher import Dispatcher, Reply, Request, away
from bot.fronts import cards, slack_form
from bot.fronts import slack_payloads as payloads
from bot.fronts.slack_form import Forms, Typed
from bot.fronts.slack_home import AFTER, Homes
from bot.fronts.slack_lane import Lane
from bot.fronts.slack_payloads import Heard
from bot.fronts.slack_people import SlackDirectory
from bot.store import Store

log = logging.getLogger(__name__)

REMEMBERED = 5000
ANY = re.compile(".*", re.DOTALL)
UNSAID = (
    "delete your message, and have that secret changed where it comes from, since Slack keeps what "
    "was typed; rotate-key KEY ENV asks for a value in a form that nobody else sees"
)
OAUTH = ("SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET")

Whisper = Callable[[Mapping[str, Any], str], None]
Listener = Callable[[AsyncAck, dict[str, Any]], Awaitable[None]]


class Receiver:
    """What Slack delivers, turned into requests and answered."""

    def __init__(
        self,
        config: Config,
        store: Store,
        dispatcher: Dispatcher,
        directory: SlackDirectory,
        whisper: Whisper,
        me: str,
        forms: Forms,
        homes: Homes,
    ) -> None:
        self.config, self.store, self.dispatcher = config, store, dispatcher
        self.directory, self.whisper, self.me, self.forms = directory, whisper, me, forms
        self.homes = homes
        self.lane = Lane(1 if store.alone else 8)
        self._known: OrderedDict[str, None] = OrderedDict()

    def listen(self, app: AsyncApp) -> None:
        """Register for everything; what is not for us is acknowledged and forgotten."""
        app.command(ANY)(timed("command", self.on_command))
        app.action(ANY)(timed("button", self.on_click))
        app.event(ANY)(timed("event", self.on_event))
        app.view_submission(ANY)(timed("form", self.on_form))
        for kind in (app.shortcut, app.view_closed):
            kind(ANY)(self.on_other)

    async def on_command(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        heard = payloads.command(body)
        reply = await self.ask(heard)
        if reply is None or not reply.text:
            await ack()
        elif reply.wanted:
            await ack()
            self.forms.open(str(body.get("trigger_id", "")), reply.wanted, heard.audience)
        else:
            await ack(response_type="ephemeral", **cards.answer(reply.text))

    async def on_click(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        heard = payloads.click(body)
        if heard is not None:
            reply = await self.ask(heard)
            if (body.get("view") or {}).get("type") == "home":
                self.homes.opened(heard.user, heard.teams, AFTER)
            if reply is not None and reply.wanted:
                await ack()
                self.forms.open(str(body.get("trigger_id", "")), reply.wanted, heard.audience)
                return
            self._tell(heard, reply)
        await ack()

    async def on_event(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        event = body.get("event") or {}
        if event.get("type") in ("app_mention", "message"):
            heard = payloads.message(body, self.me)
            if heard is not None:
                self._tell(heard, await self.ask(heard))
        elif event.get("type") == "app_home_opened":
            if event.get("tab") == "home":
                self.homes.opened(str(event.get("user", "")), payloads.teams_of(body))
        else:
            self.directory.heard(event)
        await ack()

    async def on_form(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        typed = slack_form.read(body)
        if typed is None:
            await ack()
        elif isinstance(typed, dict):
            await ack(response_action="errors", errors=typed)
        else:
            reply = await self.lane.ask(partial(self._take, typed))
            if reply.ok:
                self.whisper(typed.audience, reply.text)
                await ack()
            else:
                await ack(response_action="errors", errors={"value": reply.text[:2000]})

    def _take(self, typed: Typed) -> Reply:
        who = self.directory.who(typed.user, typed.teams)
        return self.dispatcher.ask(Request(typed.id, typed.line, who, typed.audience, typed.value))

    async def on_other(self, ack: AsyncAck) -> None:
        await ack()

    async def ask(self, heard: Heard) -> Reply | None:
        """Say it to the dispatcher; None where this delivery was here before."""
        if heard.delivery in self._known:
            return None
        self._known[heard.delivery] = None
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        if heard.hint:
            return warned(heard) or Reply(heard.hint, ok=False)
        try:
            reply = await self.lane.ask(partial(self._ask, heard))
        except BaseException:
            self._known.pop(heard.delivery, None)
            raise
        if not reply.duplicate:
            return self._with_place(heard, reply)
        pressed_again = heard.key != heard.delivery
        return replace(reply, text=f"asked before: {reply.text}") if pressed_again else None

    def _ask(self, heard: Heard) -> Reply:
        try:
            if self._leaves_no_trace(heard) and not self.store.once(heard.delivery):
                return Reply("", ok=True, duplicate=True)
        except SQLAlchemyError as error:
            log.exception("remembering %r", heard.delivery)
            return Reply(away(error, "nothing was done"), ok=False)
        who = self.directory.who(heard.user, heard.teams)
        request = Request(heard.key, heard.text, who, heard.audience)
        if heard.typed and (reply := self.dispatcher.type(request)) is not None:
            return reply  # a shell is where data is mended: its lines pass, whatever they hold
        return warned(heard) or self.dispatcher.ask(request)

    def _leaves_no_trace(self, heard: Heard) -> bool:
        """Whether it would act, and leave no operation by which a second delivery is known."""
        command = self._command(heard)
        return command is not None and command.here and bool(command.permission)

    def _command(self, heard: Heard) -> Command | None:
        first = next(iter(heard.text.split()), "").lower().removeprefix("/")
        return self.dispatcher.commands.get(first)

    def _with_place(self, heard: Heard, reply: Reply) -> Reply:
        """Say where an accepted request is told, where it was not asked there."""
        command = self._command(heard)
        if reply.operation and command is not None and command.direct:
            return replace(reply, text=f"{reply.text}; it opens in your direct messages")
        if not reply.operation or command is None or not command.changes:
            return reply  # what only looks is answered where it was asked
        named = (self.config.environments.get(word) for word in heard.text.split())
        environment = next((e for e in named if e), None)
        if environment is None or environment.channel == heard.audience["channel"]:
            return reply
        return replace(reply, text=f"{reply.text}, told in the channel of {environment.name}")

    def _tell(self, heard: Heard, reply: Reply | None) -> None:
        if reply is not None and reply.text:
            self.whisper(heard.audience, reply.text)


def timed(kind: str, listener: Listener) -> Listener:
    """Return a listener whose time until its end, which is when Slack is answered, is counted."""

    async def on(ack: AsyncAck, body: dict[str, Any]) -> None:
        began = time.perf_counter()
        try:
            await listener(ack, body)
        finally:
            COUNTS.acked(kind, time.perf_counter() - began)

    return on


def warned(heard: Heard) -> Reply | None:
    """Return the warning for what was typed and seems to hold a secret: it goes no further."""
    said = "" if heard.pressed else leaks.warning(heard.text, UNSAID)
    return Reply(said, ok=False) if said else None


def bolt(token: str, secret: str, url: str, proxy: str, identity: Mapping[str, Any]) -> AsyncApp:
    """Return a Bolt app that knows already who it is, and so asks Slack nothing before an ack."""

    async def authorize() -> AuthorizeResult:
        return AuthorizeResult(
            enterprise_id=identity.get("enterprise_id"),
            team_id=identity.get("team_id"),
            bot_user_id=identity.get("user_id"),
            bot_id=identity.get("bot_id"),
            bot_token=token,
        )

    client = AsyncWebClient(base_url=url, retry_handlers=[])
    client.proxy = proxy or None  # it would take one from the environment, without heeding NO_PROXY
    with _without((*OAUTH, "SLACK_BOT_TOKEN")):
        return AsyncApp(
            client=client,
            signing_secret=secret,
            authorize=authorize,
            request_verification_enabled=bool(secret),
            process_before_response=True,
            logger=logging.getLogger("slack_bolt"),
            name="packlead",
        )


@contextlib.contextmanager
def _without(names: tuple[str, ...]) -> Iterator[None]:
    """Hide variables that would make Bolt forget its token for an OAuth app that we are not."""
    hidden = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)
