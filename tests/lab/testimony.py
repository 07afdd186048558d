"""Invariants about what was said: Slack says what the log says; the audit frames every effect,
and of whatever was done it says before that somebody asked for it.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from bot import words
from bot.audit import Row
from bot.events import Done, HostReport, Note, Stopped, WasCancelled
from bot.store import Operation, Store
from tests.lab.aws import Call
from tests.lab.invariants import LOOKS
from tests.lab.slack import Slack
from tests.lab.slack.records import Message

BOT = "U0PACKLEAD"
CARD = {"done": "done", "failed": "stopped", "cancelled": "cancelled"}  # in its words
AGAIN = "said again"
SAID = (HostReport, Note, Done, Stopped, WasCancelled)  # what a thread keeps, a line each
MARGIN = 0.05  # seconds between two clocks: that of AWS's log and that of the audit
LATE = 0.5  # seconds between the clock of a row and that of AWS's log
LONG = 200  # characters of one line that no message cuts, and of one thing that the audit names

# What the bot says in the audit before it asks this of AWS; what is not here it never asks.
PLAY = "play "
FRAMES: dict[str, tuple[str, ...]] = {
    "RunInstances": ("aws.launch",),
    "CreateImage": ("aws.image",),
    "TerminateInstances": ("aws.terminate",),
    "RegisterTargets": (PLAY,),
    "DeregisterTargets": ("aws.leave", PLAY),
    "RegisterInstancesWithLoadBalancer": (PLAY,),
    "DeregisterInstancesFromLoadBalancer": ("aws.leave", PLAY),
    "DeregisterImage": ("aws.deregister",),
    "DeleteSnapshot": ("aws.deregister", "aws.delete_snapshot"),
    "PutParameter": ("secrets.put", "secrets.again"),
    "DeleteParameter": ("secrets.remove",),
    "CreateSecret": ("secrets.put",),
    "RestoreSecret": ("secrets.put", "secrets.again"),
    "PutSecretValue": ("secrets.put", "secrets.again"),
    "UpdateSecretVersionStage": ("secrets.put", "secrets.again"),
    "DeleteSecret": ("secrets.remove",),
}
# How the lab names target groups and keys: by the environment.
PLACE = re.compile(r"targetgroup/(\w+)-\w+/|^/app/(\w+)/")
IDS = re.compile(r"\b(?:i|ami|snap)-\w+")
TARGETS = re.compile(r"(InstanceId|ImageId|SnapshotId|Targets\.member|Instances\.member)\b.*")


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


def mutations(calls: Collection[Call]) -> list[Call]:
    """Return the calls that change something."""
    return [call for call in calls if not call.action.startswith(LOOKS)]


def effects(calls: Collection[Call], store: Store) -> Iterator[str]:
    """Nothing was changed in AWS but by an operation that was at work.

    Its row is the intent, and its end the outcome: neither can be missing around a change. And
    whatever has a row was accepted, which the audit says.
    """
    offset, accepted = time.time() - time.monotonic(), accepted_in(store)
    asked = store.history(limit=10_000)
    every = [*asked, *(child for one in asked for child in store.children(one.id))]
    for one in every:
        if one.id not in accepted:
            yield f"#{one.number} ({one.line}) of {one.person} is there, and was never accepted"
    spans = [
        (one.started - LATE, (one.finished or time.time()) + LATE)
        for one in every
        if one.started and one.id in accepted
    ]
    for call in mutations(calls):
        at = call.at + offset
        if not any(start <= at <= end for start, end in spans):
            yield f"{call.action} was asked of AWS while no operation was at work"


@dataclass(frozen=True)
class Frame:
    """From when to when an effect may happen, by the audit, and whose it is."""

    what: str
    operation: str
    environment: str | None  # of its operation; None where nothing says before that it was accepted
    about: tuple[str, ...]  # what the intent names
    begin: float
    end: float

    def holds(self, call: Call, at: float) -> bool:
        """Whether a call may be this effect: of its kind and time, and on what is its own."""
        of = tags_of(call).get("Operation", self.operation)
        return (
            self.what.startswith(FRAMES[call.action])
            and self.begin - MARGIN <= at <= self.end + MARGIN
            and environment_of(call) in ("", self.environment)
            and of[:LONG] == self.operation[:LONG]
            and not self._names_others(call)
        )

    def _names_others(self, call: Call) -> bool:
        """Whether the intent names instances, images or snapshots, and the call another one."""
        if any(len(text) >= LONG for text in self.about):  # it may name more than was kept
            return False
        named = {id for text in self.about for id in IDS.findall(text)}
        kinds = {id.partition("-")[0] for id in named}
        asked = {value for key, value in call.params.items() if TARGETS.fullmatch(key)}
        return any(id.partition("-")[0] in kinds and id not in named for id in asked)


def framed(calls: Collection[Call], store: Store, after: int = 0) -> Iterator[str]:
    """Every change in AWS lies between what said that it would be done, and what said how it ended.

    Both are of an operation that was accepted before, of the environment of the call, and of what
    the call names. A bot that was killed in between says it again when it goes on; but it does say
    how it ended. `after` is the row of the audit with which these calls began.
    """
    offset = time.time() - time.monotonic()
    accepted, live = accepted_in(store), {operation.id for operation in store.live()}
    frames = list(frames_of([r for r in store.audit.rows() if r.number > after], accepted))
    for frame in frames:
        if frame.environment is None:
            yield f"{frame.what} of {frame.operation} was begun, which nobody had accepted"
        if frame.end == float("inf") and frame.operation not in live:
            yield f"the audit never says how {frame.what} of {frame.operation} ended"
    for call in mutations(calls):
        where = f" for {environment}" if (environment := environment_of(call)) else ""
        if call.action not in FRAMES:
            yield f"{call.action}{where} was asked of AWS, which Packlead never asks"
        elif not any(frame.holds(call, call.at + offset) for frame in frames):
            yield f"{call.action}{where} was asked of AWS, and no intent and outcome are around it"


def frames_of(rows: list[Row], accepted: Mapping[str, Row]) -> Iterator[Frame]:
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
        begun = accepted.get(row.operation)
        if begun and begun.number > row.number:
            begun = None
        yield Frame(
            what=str(row.data["what"]),
            operation=row.operation,
            environment=str(begun.data.get("environment", "")) if begun else None,
            about=tuple(map(str, row.data.get("about", ()))),
            begin=row.at,
            end=next(ends, float("inf")),
        )


def accepted_in(store: Store) -> dict[str, Row]:
    """Return the row with which the audit says that an operation was accepted, by its id."""
    return {row.operation: row for row in store.audit.rows() if row.kind == "accepted"}


def environment_of(call: Call) -> str:
    """Return the environment of a call's tags, target group or key; empty where it names none."""
    names = [call.params.get(key, "") for key in ("TargetGroupArn", "Name", "SecretId")]
    found = [match[1] or match[2] for name in names if (match := PLACE.search(name))]
    return tags_of(call).get("Env") or "".join(found[:1])


def tags_of(call: Call) -> dict[str, str]:
    """Return the tags that a call gives to what it makes."""
    keys = [key for key in call.params if key.startswith("TagSpec") and key.endswith(".Key")]
    return {call.params[key]: call.params[f"{key[:-3]}Value"] for key in keys}
