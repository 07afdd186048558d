"""From what Slack delivers to what somebody said: one Heard for commands, messages and buttons."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.fronts import slack_text as text

CATCH_ALL = "/packlead"
SPOKEN = (None, "file_share", "thread_broadcast")  # subtypes of messages that a person wrote
Payload = Mapping[str, Any]


@dataclass(frozen=True)
class Heard:
    """A line that somebody said.

    `delivery` is the same however often Slack delivers it; `key` is what makes it one request.
    They differ for a button that counts once, whoever presses it and how often.
    """

    key: str
    delivery: str
    text: str
    user: str
    teams: frozenset[str]
    audience: dict[str, Any] = field(default_factory=dict)
    typed: bool = False  # said to Packlead alone: a line of a shell, where one is open
    hint: str = ""  # set where it is not understood at all: what to do instead
    pressed: bool = False  # a button said it, and nobody typed


def command(body: Payload) -> Heard:
    """A slash command: /deploy prod, or /packlead deploy prod."""
    name, rest = str(body.get("command", "")), text.typed(str(body.get("text") or ""))
    said = rest or "help" if name == CATCH_ALL else f"{name.removeprefix('/')} {rest}"
    key = _key("command", body.get("trigger_id"), body)
    return Heard(
        key,
        key,
        said.strip(),
        str(body.get("user_id", "")),
        _teams(body.get("team_id")),
        _audience(body.get("channel_id"), body.get("user_id"), url=body.get("response_url")),
    )


def click(body: Payload) -> Heard | None:
    """A button: its value is the line that it says. A `once:` button says it a single time."""
    action: Payload = next(iter(body.get("actions") or ()), {})
    value = action.get("value")
    if action.get("type") != "button" or not isinstance(value, str) or not value:
        return None
    user = body.get("user") or {}
    container = body.get("container") or {}
    message = body.get("message") or {}
    place = [container.get("channel_id"), container.get("message_ts"), action.get("block_id")]
    press = [*place, action.get("action_ts"), user.get("id")]
    once = str(action.get("action_id", "")).startswith("once:")
    return Heard(
        _key("click", _joined([*place, action.get("action_id")] if once else press), body),
        _key("click", _joined(press), body),
        value,
        str(user.get("id", "")),
        _teams(user.get("team_id"), (body.get("team") or {}).get("id"), body.get("user_team")),
        _audience(
            (body.get("channel") or {}).get("id"),
            user.get("id"),
            thread=_thread(message, container),
            url=body.get("response_url"),
        ),
        pressed=True,
    )


def message(body: Payload, me: str) -> Heard | None:
    """A message that begins with a mention of `me`, or that is said to it alone."""
    event = body.get("event") or {}
    if event.get("bot_id") or event.get("bot_profile") or event.get("subtype") not in SPOKEN:
        return None
    if "edited" in event or event.get("user") in (None, me, "USLACKBOT"):
        return None
    direct = str(event.get("channel", "")).startswith("D")
    if direct != (event.get("type") == "message"):
        return None
    said = str(event.get("text") or "").strip()
    mention = re.compile(rf"<@{re.escape(me)}(?:\|[^>]*)?>[\s,:]*")
    first = mention.match(said)
    said = said[first.end() :] if first else said
    hint = "" if first or direct else "begin the message with @packlead: @packlead help"
    key = _key("said", _joined([event.get("channel"), event.get("ts")]), body)
    return Heard(
        key,
        key,
        text.typed(said) or "help",
        str(event.get("user", "")),
        _teams(
            body.get("team_id"), event.get("team"), event.get("user_team"), event.get("source_team")
        ),
        _audience(event.get("channel"), event.get("user"), thread=event.get("thread_ts")),
        direct,
        hint,
    )


def _thread(message: Payload, container: Payload) -> Any:
    """Return the thread in which a button stands: none for the message above its own replies."""
    thread = message.get("thread_ts") or container.get("thread_ts")
    return "" if thread == (message.get("ts") or container.get("message_ts")) else thread


def _joined(parts: Iterable[Any]) -> str:
    return ":".join(str(part) for part in parts)


def _audience(channel: Any, user: Any, thread: Any = "", url: Any = "") -> dict[str, Any]:
    return {
        "kind": "slack",
        "channel": str(channel or ""),
        "thread": str(thread or ""),
        "user": str(user or ""),
        "response_url": str(url or ""),
    }


def teams_of(body: Payload) -> frozenset[str]:
    """Return the workspaces that an event names."""
    return _teams(body.get("team_id"), (body.get("event") or {}).get("team"))


def _teams(*teams: Any) -> frozenset[str]:
    return frozenset(str(team) for team in teams if team) or frozenset({"unknown"})


def _key(kind: str, given: Any, body: Payload) -> str:
    """Return the idempotency key of a delivery; of its whole content where Slack gave it none."""
    known = str(given or "") or json.dumps(body, sort_keys=True, default=str)
    if len(known) > 150:
        known = hashlib.sha256(known.encode()).hexdigest()
    return f"slack:{kind}:{known}"
