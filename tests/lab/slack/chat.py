"""The chat.* and reactions.* methods, and what may be posted to a response URL."""

from __future__ import annotations

import time

from tests.lab.slack import people
from tests.lab.slack.checks import check_message
from tests.lab.slack.hub import Hub
from tests.lab.slack.people import APP, BOT, BOT_USER, TEAM
from tests.lab.slack.records import Edit, Json, Message, SlackError
from tests.lab.slack.tickets import ResponseUrl
from tests.lab.slack.views import with_ids


def post_message(hub: Hub, args: Json) -> Json:
    channel = _writable(hub, str(args.get("channel", "")))
    args = args | {"channel": channel.id}
    check_message(hub.workspace, "chat.postMessage", args)
    message = _bot_message(hub, args)
    hub.workspace.add(message)
    return {"channel": channel.id, "ts": message.ts, "message": _shown(message)}


def update(hub: Hub, args: Json) -> Json:
    channel = hub.workspace.channel(str(args.get("channel", "")))
    message = hub.workspace.find(channel.id, str(args.get("ts", "")))
    if message is None:
        raise SlackError("message_not_found")
    if message.bot_id != BOT:
        raise SlackError("cant_update_message")
    if channel.is_archived:
        raise SlackError("is_inactive")
    if hub.edit_window is not None and time.time() - float(message.ts) > hub.edit_window:
        raise SlackError("edit_window_closed")
    check_message(hub.workspace, "chat.update", args, editing=True)
    _rewrite(hub, message, args)
    return {"channel": channel.id, "ts": message.ts, "text": message.text} | {
        "message": _shown(message)
    }


def delete(hub: Hub, args: Json) -> Json:
    channel = hub.workspace.channel(str(args.get("channel", "")))
    message = hub.workspace.find(channel.id, str(args.get("ts", "")))
    if message is None:
        raise SlackError("message_not_found")
    if message.bot_id != BOT:
        raise SlackError("cant_delete_message")
    hub.workspace.remove(message)
    return {"channel": channel.id, "ts": message.ts}


def post_ephemeral(hub: Hub, args: Json) -> Json:
    channel = _writable(hub, str(args.get("channel", "")))
    user = str(args.get("user", ""))
    if user not in hub.workspace.users:
        raise SlackError("user_not_found")
    if user not in channel.members:
        raise SlackError("user_not_in_channel")
    check_message(hub.workspace, "chat.postEphemeral", args)
    message = _bot_message(hub, args | {"channel": channel.id})
    message.only_for = user
    hub.workspace.add(message)
    return {"message_ts": message.ts}


def get_permalink(hub: Hub, args: Json) -> Json:
    channel = hub.workspace.channel(str(args.get("channel", "")))
    ts = str(args.get("message_ts", ""))
    message = hub.workspace.find(channel.id, ts)
    if message is None:
        raise SlackError("message_not_found")
    link = f"{hub.url}/archives/{channel.id}/p{ts.replace('.', '')}"
    if message.thread_ts and message.thread_ts != ts:
        link += f"?thread_ts={message.thread_ts}&cid={channel.id}"
    return {"channel": channel.id, "permalink": link}


def react(hub: Hub, args: Json) -> Json:
    message, name = _reacted(hub, args)
    if BOT_USER in message.reactions.get(name, []):
        raise SlackError("already_reacted")
    message.reactions.setdefault(name, []).append(BOT_USER)
    hub.workspace.changed()
    return {}


def unreact(hub: Hub, args: Json) -> Json:
    message, name = _reacted(hub, args)
    if BOT_USER not in message.reactions.get(name, []):
        raise SlackError("no_reaction")
    message.reactions[name].remove(BOT_USER)
    if not message.reactions[name]:
        del message.reactions[name]
    hub.workspace.changed()
    return {}


def respond(hub: Hub, url: ResponseUrl, body: Json, where: str, via: str) -> None:
    """Take what the app posted to a response URL, or put into an ack: usually for one person."""
    source = _source(hub, url)
    if body.get("delete_original"):
        if source is not None:
            hub.workspace.remove(source)
        return
    args = body | {"channel": url.channel}
    check_message(hub.workspace, where, args)
    if body.get("replace_original") and source is not None:
        _rewrite(hub, source, args)
        return
    public = body.get("response_type") == "in_channel"
    if "thread_ts" not in args and url.thread_ts:
        args["thread_ts"] = url.thread_ts
    message = _bot_message(hub, args)
    message.only_for = "" if public else url.user
    message.via = via
    hub.workspace.add(message)


def _source(hub: Hub, url: ResponseUrl) -> Message | None:
    """The message whose button was pressed."""
    if not url.message_ts:
        return None
    if url.ephemeral:
        private = hub.workspace.private
        return next((message for message in private if message.ts == url.message_ts), None)
    return hub.workspace.find(url.channel, url.message_ts)


def _writable(hub: Hub, name: str) -> people.Channel:
    if name.startswith("U") and name in hub.workspace.users:
        return hub.workspace.dm(name)
    channel = hub.workspace.channel(name, by_name=True)
    if channel.is_archived:
        raise SlackError("is_archived")
    if BOT_USER not in channel.members:
        raise SlackError("not_in_channel")
    return channel


def _bot_message(hub: Hub, args: Json) -> Message:
    return Message(
        channel=str(args["channel"]),
        ts=hub.workspace.new_ts(),
        user=BOT_USER,
        bot_id=BOT,
        text=str(args.get("text") or ""),
        blocks=with_ids(args.get("blocks") or []),
        thread_ts=str(args.get("thread_ts") or ""),
        broadcast=bool(args.get("reply_broadcast")) and bool(args.get("thread_ts")),
        metadata=args.get("metadata"),
        attachments=args.get("attachments") or [],
        files=args.get("files") or [],
    )


def _rewrite(hub: Hub, message: Message, args: Json) -> None:
    """`text` without `blocks` drops the blocks; metadata that is not named stays."""
    with hub.workspace.lock:
        now = time.time()
        message.edits.append(Edit(message.text, tuple(message.blocks), now))
        message.edited_at = now
        if args.get("blocks") is not None:
            message.blocks = with_ids(args["blocks"])
        elif args.get("text") is not None:
            message.blocks = []
        if args.get("text") is not None:
            message.text = str(args["text"])
        if args.get("metadata") is not None:
            message.metadata = args["metadata"] or None
        if args.get("attachments") is not None:
            message.attachments = args["attachments"]
    hub.workspace.changed()


def _reacted(hub: Hub, args: Json) -> tuple[Message, str]:
    channel = hub.workspace.channel(str(args.get("channel", "")))
    message = hub.workspace.find(channel.id, str(args.get("timestamp", "")))
    if message is None:
        raise SlackError("message_not_found")
    name = str(args.get("name", "")).strip(":")
    if not name:
        raise SlackError("invalid_name")
    return message, name


def _shown(message: Message) -> Json:
    return message.as_slack() | {
        "app_id": APP,
        "team": TEAM,
        "bot_profile": {
            "id": BOT,
            "deleted": False,
            "name": people.BOT_NAME,
            "app_id": APP,
            "team_id": TEAM,
        },
    }
