"""What a person writes, as Slack's composer sends it, and the events that come of it."""

from __future__ import annotations

import re
import uuid

from tests.lab.slack import payloads
from tests.lab.slack.hub import Hub
from tests.lab.slack.people import BOT_USER
from tests.lab.slack.records import Delivery, Json, Message

MENTION = re.compile(r"@([a-z0-9_-]+)")


async def say(hub: Hub, user: str, channel: str, text: str, thread_ts: str = "") -> Delivery | None:
    """Write a message; `@packlead` in it becomes a mention. None: no event was due."""
    own = channel == f"D{user[1:]}"  # made when it is first looked at
    room = hub.workspace.dm(user) if own else hub.workspace.channel(channel)
    person = hub.person(user)
    message = Message(
        channel=channel,
        ts=hub.workspace.new_ts(),
        user=user,
        text=_with_mentions(hub, text),
        thread_ts=thread_ts,
        via="person",
        metadata={"client_msg_id": str(uuid.uuid4())},
    )
    message.blocks = [_rich(message.text)]
    hub.workspace.add(message)
    kinds = _events_of(hub, message, bool(room.dm_with))
    deliveries = []
    for kind in kinds:
        body = payloads.event(payloads.said(message, person, kind, room), room)
        deliveries.append(
            await hub.courier.deliver(Delivery("events_api", body, user=user, channel=channel))
        )
    return deliveries[0] if deliveries else None


def _events_of(hub: Hub, message: Message, direct: bool) -> list[str]:
    if direct:
        return ["message"] if "message.im" in hub.workspace.events else []
    room = hub.workspace.channels[message.channel]
    if BOT_USER not in room.members:
        return []
    kinds = []
    if f"<@{BOT_USER}>" in message.text and "app_mention" in hub.workspace.events:
        kinds.append("app_mention")
    if "message.channels" in hub.workspace.events:
        kinds.append("message")
    return kinds


def _with_mentions(hub: Hub, text: str) -> str:
    """What Slack's composer does: escape, and turn @names into mentions."""
    raw = re.split(r"(<[@#!][^>]+>)", text)
    done = []
    for piece in raw:
        if re.fullmatch(r"<[@#!][^>]+>", piece):
            done.append(piece)
            continue
        piece = piece.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        done.append(MENTION.sub(lambda found: _mention(hub, found), piece))
    return "".join(done)


def _mention(hub: Hub, found: re.Match[str]) -> str:
    for user in hub.workspace.users.values():
        if user.name == found[1]:
            return f"<@{user.id}>"
    return found[0]


def _rich(text: str) -> Json:
    """The rich_text block that Slack's composer makes of what was typed."""
    parts: list[Json] = []
    for piece in re.split(r"(<@[A-Z0-9]+>|`[^`\n]+`)", text):
        if found := re.fullmatch(r"<@([A-Z0-9]+)>", piece):
            parts.append({"type": "user", "user_id": found[1]})
        elif found := re.fullmatch(r"`([^`\n]+)`", piece):
            parts.append({"type": "text", "text": found[1], "style": {"code": True}})
        elif piece:
            plain = piece.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
            parts.append({"type": "text", "text": plain})
    section = {"type": "rich_text_section", "elements": parts}
    return {"type": "rich_text", "block_id": uuid.uuid4().hex[:5], "elements": [section]}
