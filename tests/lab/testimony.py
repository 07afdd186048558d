"""Invariants about what was said: Slack says what the log says; the audit frames every effect."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from bot import words
from bot.audit import Row
from bot.events import Done, HostReport, Note, Stopped, WasCancelled
from bot.store import Operation, Store
from tests.lab.aws import Call
from tests.lab.invariants import mutations
from tests.lab.slack import Slack
from tests.lab.slack.records import Message

BOT = "U0PACKLEAD"
CARD = {"done": "done", "failed": "stopped", "cancelled": "cancelled"}  # in its words
AGAIN = "said again"
SAID = (HostReport, Note, Done, Stopped, WasCancelled)  # what a thread keeps, a line each
MARGIN = 0.05  # seconds between two clocks: that of AWS's log and that of the audit
LONG = 200  # characters of one line that no message cuts

# What the bot says in the audit before it asks this of AWS; of what is not here: anything.
PLAY = "play "
FRAMES: dict[str, tuple[str, ...]] = {
    "RunInstances": ("aws.launch",),
    "CreateImage": ("aws.image",),
    "TerminateInstances": ("aws.terminate",),
    "RegisterTargets": (PLAY,),
    "DeregisterTargets": ("aws.leave", PLAY),
    "DeregisterImage": ("aws.deregister",),
    "DeleteSnapshot": ("aws.deregister", "aws.delete_snapshot"),
    "PutParameter": ("secrets.put", "secrets.again"),
    "DeleteParameter": ("secrets.remove",),
}


def thread(slack: Slack, store: Store, number: int, channels: Collection[str]) -> Iterator[str]:
    """Slack says of an operation what the database says: how it ended, and each line of its log.

    Nothing stands there twice but what is marked as said again. What follows up an operation is
    told in the same thread.
    """
    operation = store.get(f"#{number}")
    if operation is None:
        yield f"there is no #{number}"
        return
    cards = [card for channel in channels for card in cards_of(slack, channel, number)]
    first = [card for card in cards if AGAIN not in card.wording]
    if not cards or len(first) > 1:
        yield f"#{number} has {len(first)} cards in Slack"
        return
    if CARD.get(operation.state, operation.state) not in cards[-1].wording:
        yield f"#{number} is {operation.state}, and its card says {cards[-1].wording!r}"
    replies = [m for m in slack.message(cards[-1].channel, cards[-1].ts).replies if m.user == BOT]
    said = Counter(line for m in replies if AGAIN not in m.wording for line in lines(m))
    again = Counter(line for m in replies if AGAIN in m.wording for line in lines(m))
    logged = Counter(line for one in (operation, *store.children(operation.id))
                     for line in logged_of(store, one))  # fmt: skip
    for line, times in logged.items():
        seen = sum(n for text, n in said.items() if line in text)
        if seen > times:
            yield f"#{number}: Slack says {seen} times, and the log {times}: {line}"
        elif seen < times and not any(line in text for text in again):
            yield f"#{number}: the log says, and Slack does not: {line}"


def cards_of(slack: Slack, channel: str, number: int) -> list[Message]:
    """Return the cards of an operation in a channel, oldest first."""
    mark = re.compile(rf"·  #{number}(  ·|$)", re.MULTILINE)
    return [m for m in slack.messages(channel) if m.user == BOT and mark.search(m.wording)]


def lines(message: Message) -> list[str]:
    return message.wording.splitlines()


def logged_of(store: Store, operation: Operation) -> list[str]:
    """Return what of an operation's log a thread must show, as the first line of each."""
    told = [e.event for e in store.entries(operation.id) if isinstance(e.event, SAID)]
    firsts = [(words.say(event).splitlines() or [""])[0] for event in told]
    return [line for line in firsts if 0 < len(line) < LONG]


@dataclass(frozen=True)
class Frame:
    """From when to when an effect may happen, by the audit."""

    what: str
    operation: str
    begin: float
    end: float


def framed(calls: Collection[Call], store: Store, after: int = 0) -> Iterator[str]:
    """Every change in AWS lies between what said that it would be done, and what said how it ended.

    A bot that was killed in between says it again when it goes on; but it does say how it ended.
    `after` is the row of the audit with which these calls began.
    """
    offset = time.time() - time.monotonic()
    rows = [row for row in store.audit.rows() if row.number > after]
    live = {operation.id for operation in store.live()}
    frames = list(frames_of(rows))
    for frame in frames:
        if frame.end == float("inf") and frame.operation not in live:
            yield f"the audit never says how {frame.what} of {frame.operation} ended"
    for call in mutations(calls):
        at, whats = call.at + offset, FRAMES.get(call.action, ("",))
        if not any(
            frame.what.startswith(whats) and frame.begin - MARGIN <= at <= frame.end + MARGIN
            for frame in frames
        ):
            yield f"{call.action} was asked of AWS, and no intent and outcome are around it"


def frames_of(rows: list[Row]) -> Iterator[Frame]:
    """Yield a frame for each intent, to the next outcome of the same effect or without an end."""
    for place, row in enumerate(rows):
        if row.kind != "intent":
            continue
        mine = (row.operation, row.data["what"])
        ends = (
            later.at
            for later in rows[place + 1 :]
            if later.kind == "outcome" and (later.operation, later.data["what"]) == mine
        )
        yield Frame(str(row.data["what"]), row.operation, row.at, next(ends, float("inf")))
