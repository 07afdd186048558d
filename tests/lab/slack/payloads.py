"""The payloads that Slack sends: commands, events, clicks, submitted forms."""

from __future__ import annotations

import secrets
import time

from tests.lab.slack import people
from tests.lab.slack.people import APP, BOT_USER, TEAM, TEAM_DOMAIN, Channel, User
from tests.lab.slack.records import Json, Message

TOKEN = "verification-token-of-the-lab"  # deprecated at Slack, still sent


def slash_command(
    user: User, channel: Channel, command: str, text: str, trigger_id: str, response_url: str
) -> Json:
    return {
        "token": TOKEN,
        "team_id": user.team,
        "team_domain": TEAM_DOMAIN if user.team == TEAM else "elsewhere",
        "channel_id": channel.id,
        "channel_name": "directmessage" if channel.dm_with else channel.name,
        "user_id": user.id,
        "user_name": user.name,
        "command": command,
        "text": text,
        "api_app_id": APP,
        "is_enterprise_install": "false",
        "response_url": response_url,
        "trigger_id": trigger_id,
    }


def event(body: Json, channel: Channel) -> Json:
    """An event in its envelope."""
    return {
        "token": TOKEN,
        "team_id": TEAM,
        "context_team_id": TEAM,
        "context_enterprise_id": None,
        "api_app_id": APP,
        "event": body,
        "type": "event_callback",
        "event_id": f"Ev{secrets.token_hex(5).upper()}",
        "event_time": int(time.time()),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": TEAM,
                "user_id": BOT_USER,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": channel.is_ext_shared,
        "event_context": f"4-{secrets.token_hex(12)}",
    }


def said(message: Message, user: User, kind: str, channel: Channel) -> Json:
    """The event of a message that somebody wrote."""
    body: Json = {
        "type": kind,
        "user": user.id,
        "text": message.text,
        "ts": message.ts,
        "client_msg_id": message.metadata["client_msg_id"] if message.metadata else "",
        "team": user.team,
        "blocks": message.blocks,
        "channel": channel.id,
        "event_ts": message.ts,
    }
    if kind == "message":
        body["channel_type"] = "im" if channel.dm_with else "channel"
    if message.thread_ts:
        body |= {"thread_ts": message.thread_ts, "parent_user_id": user.id}
    if user.is_stranger:
        body |= {"user_team": user.team, "source_team": user.team}
    if user.is_bot:
        body["bot_id"] = people.BOT if user.id == BOT_USER else f"B{user.id[1:]}"
    return body


def block_actions(
    user: User,
    trigger_id: str,
    action: Json,
    *,
    message: Message | None = None,
    channel: Channel | None = None,
    view: Json | None = None,
    state: Json | None = None,
    response_url: str = "",
) -> Json:
    body = _interaction("block_actions", user, trigger_id) | {"actions": [action]}
    if message is not None and channel is not None:
        container: Json = {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": channel.id,
            "is_ephemeral": bool(message.only_for),
        }
        if message.thread_ts:
            container["thread_ts"] = message.thread_ts
        body |= {
            "container": container,
            "channel": {
                "id": channel.id,
                "name": "directmessage" if channel.dm_with else channel.name,
            },
            "state": {"values": state or {}},
            "response_url": response_url,
        }
        if not message.only_for:  # Slack does not send the message of an ephemeral
            body["message"] = message.as_slack() | {"app_id": APP, "team": TEAM}
    if view is not None:
        body |= {"container": {"type": "view", "view_id": view["id"]}, "view": view}
    return body


def view_submission(user: User, trigger_id: str, view: Json) -> Json:
    body = _interaction("view_submission", user, trigger_id)
    return body | {"view": view, "response_urls": []}


def view_closed(user: User, view: Json, is_cleared: bool) -> Json:
    body = _interaction("view_closed", user, "") | {"view": view, "is_cleared": is_cleared}
    del body["trigger_id"]
    return body


def _interaction(kind: str, user: User, trigger_id: str) -> Json:
    return {
        "type": kind,
        "user": {
            "id": user.id,
            "username": user.name,
            "name": user.name,
            "team_id": user.team,
        },
        "api_app_id": APP,
        "token": TOKEN,
        "trigger_id": trigger_id,
        "team": {"id": TEAM, "domain": TEAM_DOMAIN},
        "enterprise": None,
        "is_enterprise_install": False,
    }
