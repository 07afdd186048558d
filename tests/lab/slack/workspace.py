"""The state of the workspace: what is in each channel, who sees what, and what was refused.

Written only by the server's thread; read by tests from theirs. `changed` wakes those who wait.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.lab.slack import people
from tests.lab.slack.records import Call, Delivery, Json, Mention, Message, Refusal, SlackError


class Workspace:
    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.condition = threading.Condition(self.lock)
        self.version = 0
        self.on_change: list[Callable[[], None]] = []
        self.users = people.users()
        self.channels = people.channels()
        self.groups = people.groups()
        self.rooms: dict[str, list[Message]] = {}
        self.private: list[Message] = []
        self.calls: list[Call] = []
        self.refused: list[Refusal] = []
        self.warnings: list[Refusal] = []
        self.mentions: list[Mention] = []
        self.deliveries: list[Delivery] = []
        self.commands: list[Json] = []
        self.scopes: set[str] | None = None  # None: no manifest was installed, all are granted
        self.events = {"app_mention", "message.im"}
        self._last = 0.0

    def changed(self) -> None:
        with self.condition:
            self.version += 1
            self.condition.notify_all()
        for tell in list(self.on_change):
            tell()

    def new_ts(self) -> str:
        """A timestamp that no message of this workspace has."""
        with self.lock:
            self._last = max(time.time(), self._last + 0.000002)
            return f"{self._last:.6f}"

    # reading

    def channel(self, name: str, *, by_name: bool = False) -> people.Channel:
        if name in self.channels:
            return self.channels[name]
        for channel in self.channels.values():
            if by_name and channel.name and channel.name == name.removeprefix("#"):
                return channel
        raise SlackError("channel_not_found")

    def dm(self, user: str) -> people.Channel:
        """The direct conversation of a person with the bot, made when first needed."""
        if user not in self.users:
            raise SlackError("user_not_found")
        for channel in self.channels.values():
            if channel.dm_with == user:
                return channel
        channel = people.Channel(f"D{user[1:]}", "", members=[user, people.BOT_USER], dm_with=user)
        self.channels[channel.id] = channel
        self.changed()
        return channel

    def every(self, channel: str) -> Iterator[Message]:
        for message in self.rooms.get(channel, []):
            yield message
            yield from message.replies

    def find(self, channel: str, ts: str) -> Message | None:
        return next((message for message in self.every(channel) if message.ts == ts), None)

    def messages(self, channel: str) -> list[Message]:
        with self.lock:
            return [_copy(message) for message in self.rooms.get(channel, [])]

    def ephemerals(self, user: str) -> list[Message]:
        with self.lock:
            return [_copy(message) for message in self.private if message.only_for == user]

    # writing

    def add(self, message: Message) -> Message:
        with self.lock:
            if message.only_for:
                self.private.append(message)
            elif message.thread_ts and message.thread_ts != message.ts:
                root = self.find(message.channel, message.thread_ts)
                if root is None or root.thread_ts not in ("", root.ts):
                    raise SlackError("cannot_reply_to_message")
                root.replies.append(message)
            else:
                self.rooms.setdefault(message.channel, []).append(message)
        self.changed()
        return message

    def remove(self, message: Message) -> None:
        with self.lock:
            if message.only_for:
                self.private.remove(message)
                self.changed()
                return
            room = self.rooms.get(message.channel, [])
            if message in room and message.replies:
                message.text, message.blocks = "This message was deleted.", []
                message.subtype = "tombstone"
            elif message in room:
                room.remove(message)
            for root in room:
                if message in root.replies:
                    root.replies.remove(message)
        self.changed()

    def tell_privately(self, user: str, channel: str, text: str) -> None:
        """What Slack itself says to one person, as Slackbot."""
        self.add(
            Message(
                channel=channel,
                ts=self.new_ts(),
                user=people.SLACKBOT,
                text=text,
                only_for=user,
                via="slackbot",
            )
        )

    def note(self, kind: list[Refusal], refusal: Refusal) -> None:
        with self.lock:
            kind.append(refusal)
        self.changed()


def _copy(message: Message) -> Message:
    return replace(
        message,
        replies=[_copy(reply) for reply in message.replies],
        edits=list(message.edits),
        reactions={name: list(users) for name, users in message.reactions.items()},
    )
