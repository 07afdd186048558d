"""Methods that look things up: auth, people, groups, conversations."""

from __future__ import annotations

import base64

from tests.lab.slack import people
from tests.lab.slack.hub import Hub
from tests.lab.slack.people import BOT, BOT_NAME, BOT_USER, TEAM
from tests.lab.slack.records import Json, SlackError


def auth_test(hub: Hub, args: Json) -> Json:
    return {
        "url": f"{hub.url}/",
        "team": "Packlead Lab",
        "user": BOT_NAME,
        "team_id": TEAM,
        "user_id": BOT_USER,
        "bot_id": BOT,
        "is_enterprise_install": False,
    }


def connections_open(hub: Hub, args: Json) -> Json:
    address = hub.url.replace("http://", "ws://", 1)
    return {"url": f"{address}/link/?ticket={hub.sockets.ticket()}&app_id={people.APP}"}


def conversations_info(hub: Hub, args: Json) -> Json:
    return {"channel": hub.workspace.channel(str(args.get("channel", ""))).as_slack()}


def conversations_list(hub: Hub, args: Json) -> Json:
    kinds = str(args.get("types") or "public_channel").split(",")
    wanted = [
        channel.as_slack()
        for channel in hub.workspace.channels.values()
        if ("im" if channel.dm_with else "public_channel") in kinds
    ]
    return _page("channels", wanted, args)


def members(hub: Hub, args: Json) -> Json:
    channel = hub.workspace.channel(str(args.get("channel", "")))
    return _page("members", list(channel.members), args)


def conversations_open(hub: Hub, args: Json) -> Json:
    if args.get("channel"):
        channel = hub.workspace.channel(str(args["channel"]))
    else:
        users = args.get("users") or ""
        names = users if isinstance(users, list) else [name for name in users.split(",") if name]
        if len(names) != 1:
            raise SlackError("users_list_not_supplied" if not names else "too_many_users")
        if hub.workspace.users.get(names[0], hub.workspace.users[BOT_USER]).deleted:
            raise SlackError("user_disabled")
        channel = hub.workspace.dm(names[0])
    body: Json = {"id": channel.id}
    return {"channel": channel.as_slack() if args.get("return_im") else body}


def users_info(hub: Hub, args: Json) -> Json:
    user = hub.workspace.users.get(str(args.get("user", "")))
    if user is None:
        raise SlackError("user_not_found")
    return {"user": user.as_slack()}


def users_list(hub: Hub, args: Json) -> Json:
    members = [user.as_slack() for user in hub.workspace.users.values() if not user.is_stranger]
    return _page("members", members, args) | {"cache_ts": 1_700_000_000}


def usergroups_list(hub: Hub, args: Json) -> Json:
    listed = []
    for group in hub.workspace.groups.values():
        body = dict(group)
        if not args.get("include_users"):
            body.pop("users")
        listed.append(body)
    return {"usergroups": listed}


def usergroup_users(hub: Hub, args: Json) -> Json:
    group = hub.workspace.groups.get(str(args.get("usergroup", "")))
    if group is None:
        raise SlackError("no_such_subteam")
    return {"users": group["users"]}


def _page(name: str, rows: list[object] | list[str] | list[Json], args: Json) -> Json:
    limit = int(args.get("limit") or 1000)
    cursor = str(args.get("cursor") or "")
    try:
        start = int(base64.b64decode(cursor).decode().removeprefix("next:")) if cursor else 0
    except ValueError:
        raise SlackError("invalid_cursor") from None
    end = start + limit
    following = base64.b64encode(f"next:{end}".encode()).decode() if end < len(rows) else ""
    return {name: rows[start:end], "response_metadata": {"next_cursor": following}}
