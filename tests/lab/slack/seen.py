"""What tests see: messages as they stand, what was refused, and waiting for what is to come."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tests.lab.slack.people import Channel, User
from tests.lab.slack.records import Call, Delivery, Json, Mention, Message, Refusal
from tests.lab.slack.service import Service
from tests.lab.slack.transcript import transcript
from tests.waiting import PATIENCE

T = TypeVar("T")
GLANCE = 0.25  # how often `wait` looks again when nothing changed in Slack itself


class Seen(Service):
    def messages(self, channel: str) -> list[Message]:
        """Root messages as they stand, oldest first, each with `.replies` and `.edits`."""
        return self._workspace.messages(channel)

    def message(self, channel: str, ts: str) -> Message:
        for message in self.messages(channel):
            for one in (message, *message.replies):
                if one.ts == ts:
                    return one
        raise LookupError(f"no message {ts} in {channel}\n{self.transcript(channel)}")

    def ephemerals(self, user: str) -> list[Message]:
        """What only this person saw, oldest first; what Slack itself said has user USLACKBOT."""
        return self._workspace.ephemerals(user)

    def views(self, user: str) -> list[Json]:
        """The forms this person has open, the topmost last; `errors` where Slack shows some."""
        with self._workspace.lock:
            return [dict(view) for view in self._hub.views.stacks.get(user, [])]

    def home(self, user: str) -> Json | None:
        with self._workspace.lock:
            home = self._hub.views.homes.get(user)
            return dict(home) if home else None

    @property
    def refused(self) -> list[Refusal]:
        with self._workspace.lock:
            return list(self._workspace.refused)

    @property
    def warnings(self) -> list[Refusal]:
        """What Slack takes and dislikes: blocks without text, text that it cuts off."""
        with self._workspace.lock:
            return list(self._workspace.warnings)

    @property
    def mentions(self) -> list[Mention]:
        with self._workspace.lock:
            return list(self._workspace.mentions)

    @property
    def calls(self) -> list[Call]:
        with self._workspace.lock:
            return list(self._workspace.calls)

    @property
    def deliveries(self) -> list[Delivery]:
        with self._workspace.lock:
            return list(self._workspace.deliveries)

    @property
    def connections(self) -> int:
        """How many Socket Mode connections there are now."""
        return len(self._hub.sockets.lines)

    @property
    def connections_opened(self) -> int:
        """How many there ever were."""
        return self._hub.sockets.opened

    def user(self, user: str) -> User:
        return self._workspace.users[user]

    def channel(self, channel: str) -> Channel:
        return self._workspace.channels[channel]

    def transcript(self, channel: str = "") -> str:
        return transcript(self._workspace, channel)

    def wait(self, predicate: Callable[[], T], timeout: float = PATIENCE, what: str = "") -> T:
        """What `predicate` says, as soon as it is true; it is asked again at every change."""
        until = time.monotonic() + timeout
        while True:
            seen, missing = self._workspace.version, ""
            try:
                found = predicate()
            except (LookupError, StopIteration) as error:  # what it looks for is not there yet
                missing = f" ({type(error).__name__}: {error})"
            else:
                if found:
                    return found
            left = until - time.monotonic()
            if left <= 0:
                raise AssertionError(
                    f"waited {timeout:g} s {'for ' + what if what else 'in vain'}{missing}; "
                    f"this is what Slack shows:\n{self.transcript()}"
                )
            with self._workspace.condition:
                if self._workspace.version == seen:
                    self._workspace.condition.wait(min(left, GLANCE))

    def wait_connected(self, count: int = 1, timeout: float = PATIENCE) -> None:
        self.wait(lambda: self.connections >= count, timeout, f"{count} Socket Mode connections")
