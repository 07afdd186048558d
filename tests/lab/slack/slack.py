"""The lab's Slack as tests hold it: it does what people do, synchronously, from any thread."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

from tests.lab.slack import composer, filling, verbs
from tests.lab.slack.faults import Fault
from tests.lab.slack.manifest import validate_manifest
from tests.lab.slack.people import Channel, User
from tests.lab.slack.records import Delivery, Json
from tests.lab.slack.seen import Seen
from tests.lab.slack.signing import sign


class Slack(Seen):
    """One workspace on one address.

    `rate_limits`: True as at Slack, False none, a number that many times as generous.
    `events_url`: where payloads go by signed HTTP; Socket Mode where it is empty.
    """

    def command(self, user: str, name: str, text: str = "", channel: str = "C0PROD") -> Delivery:
        return self._run(verbs.command(self._hub, user, name, text, channel))

    def commands(self, given: list[tuple[str, str, str, str]]) -> list[Delivery]:
        """Many commands at the same instant: (user, name, text, channel) each."""

        async def together() -> list[Delivery]:
            asked = (verbs.command(self._hub, *one) for one in given)
            return list(await asyncio.gather(*asked))

        return self._run(together())

    def presses(self, given: list[tuple[str, str, str]]) -> list[Delivery]:
        """Many presses at the same instant: (user, what the button says, channel) each.

        The button is one of the app's, on a message in the channel; without one, in App Home.
        """

        async def together() -> list[Delivery]:
            asked = (verbs.press(self._hub, *one) for one in given)
            return list(await asyncio.gather(*asked))

        return self._run(together())

    def mention(self, user: str, channel: str, text: str, thread_ts: str | None = None) -> Delivery:
        """Say something to the bot: `@packlead` is put in front unless it is there."""
        if "@packlead" not in text and "<@U0PACKLEAD>" not in text:
            text = f"<@U0PACKLEAD> {text}"
        delivery = self.say(user, channel, text, thread_ts)
        if delivery is None:
            raise LookupError(f"no app_mention comes out of {channel}: the bot is not in it")
        return delivery

    def say(
        self, user: str, channel: str, text: str, thread_ts: str | None = None
    ) -> Delivery | None:
        return self._run(composer.say(self._hub, user, channel, text, thread_ts or ""))

    def click(
        self,
        user: str,
        where: str,
        action_id: str,
        value: Any = None,
        block_id: str = "",
        stale: bool = False,
    ) -> Delivery:
        """Press in a message (its ts) or a view (its id); a confirm dialog is answered with yes.

        `stale`: also a button that only an earlier version of the message had.
        """
        return self._run(verbs.click(self._hub, user, where, action_id, value, block_id, stale))

    def submit(self, user: str, values: Json | None = None, view_id: str = "") -> Delivery:
        """Fill in and submit the topmost form; values as {action_id or block_id: value}."""
        return self._run(filling.submit(self._hub, user, values or {}, view_id))

    def close(self, user: str, everything: bool = False) -> None:
        self._run(filling.close(self._hub, user, everything=everything))

    def open_home(self, user: str) -> Delivery | None:
        return self._run(verbs.open_home(self._hub, user))

    # who is there

    def meet(self, user: User, group: str = "") -> None:
        """Have somebody join the workspace, and a user group of it."""
        with self._workspace.lock:
            self._workspace.users[user.id] = user
            if group:
                held = self._workspace.groups[group]
                held["users"] = [*held["users"], user.id]  # type: ignore[misc]
        self._workspace.changed()

    def found(self, channel: Channel) -> None:
        """Make a channel."""
        with self._workspace.lock:
            self._workspace.channels[channel.id] = channel
        self._workspace.changed()

    def direct(self, user: str) -> str:
        """Return the channel of somebody's direct messages with the app."""
        return self._workspace.dm(user).id

    # how Slack misbehaves

    def fault(self, method: str, kind: str, **how: Any) -> Fault:
        """See `Faults.add`: times, seconds, delay, retry_after, error, types, chance."""
        return self._hub.faults.add(method, kind, **how)

    def clear_faults(self) -> None:
        self._hub.faults.clear()

    def drop_sockets(self, how: str = "close") -> None:
        """close, reset, refresh (announced, closed a second later), disabled."""
        self._run(self._hub.sockets.drop(how))

    def leave(self, how: str = "refused") -> None:
        """Be away altogether, sockets included: connections are refused, or answered by 503."""
        self._run(self._leave(how))

    def come_back(self) -> None:
        """Be there again, at the same address."""
        self._run(self._come_back())

    def replay(self, delivery: Delivery) -> Delivery:
        """Deliver the very same payload again."""
        return self._run(self._hub.courier.repeat(delivery))

    # signed HTTP by hand

    def sign(self, body: bytes | str, timestamp: int | None = None) -> dict[str, str]:
        return sign(self.signing_secret, body, timestamp)

    def request(
        self, path: str, body: bytes | str, headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """POST to the app at `path` of the server of `events_url`: status and body."""
        parts = urlsplit(self.events_url)
        url = path if "://" in path else f"{parts.scheme}://{parts.netloc}{path or parts.path}"
        raw = body.encode() if isinstance(body, str) else body
        status, text, _ = self._run(self._hub.courier.post(url, raw, headers or {}))
        return status, text

    # what the app is allowed and known for

    def install(self, manifest: Json) -> None:
        """Install the app: from now on its scopes, events and commands are those it asks for."""
        mistakes = validate_manifest(manifest)
        if mistakes:
            raise ValueError("the manifest is not valid:\n" + "\n".join(mistakes))
        workspace = self._workspace
        with workspace.lock:
            workspace.commands = manifest.get("features", {}).get("slash_commands", [])
            scopes = manifest.get("oauth_config", {}).get("scopes", {})
            workspace.scopes = set(scopes.get("bot", []))
            events = manifest.get("settings", {}).get("event_subscriptions", {})
            workspace.events = set(events.get("bot_events", []))
        workspace.changed()

    def know_commands(self, commands: list[Json]) -> None:
        """Only for the page's suggestions: {command, description, usage_hint} each."""
        with self._workspace.lock:
            self._workspace.commands = list(commands)
        self._workspace.changed()
