"""The page on which a person can type, click and read: what it is fed, and what it may do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from tests.lab.slack import composer, filling, verbs
from tests.lab.slack.hub import Hub
from tests.lab.slack.people import BOT_USER
from tests.lab.slack.records import Json, Message, SlackError

HERE = Path(__file__).parent
SCRIPTS = ("page.js", "blocks.js", "compose.js", "forms.js", "mrkdwn.js", "emoji.js")
KINDS = {"page.css": "text/css", **dict.fromkeys(SCRIPTS, "text/javascript")}
ONLY_FROM_HERE = "default-src 'self'; img-src 'self' data: https:; style-src 'self' 'unsafe-inline'"
QUIET = 15.0  # seconds after which a comment keeps a silent stream open


def routes(hub: Hub) -> list[web.RouteDef]:
    doings: dict[str, Callable[[Hub, Json], Awaitable[object]]] = {
        "command": _command,
        "say": _say,
        "click": _click,
        "submit": _submit,
        "close": _close,
        "home": _home,
    }

    async def do(request: web.Request) -> web.Response:
        doing = doings.get(request.match_info["doing"])
        if doing is None:
            raise web.HTTPNotFound
        try:
            return web.json_response({"ok": True, "done": await doing(hub, await request.json())})
        except (LookupError, ValueError, SlackError) as error:
            return web.json_response({"ok": False, "error": str(error)})

    async def state(request: web.Request) -> web.Response:
        return web.json_response(shown_to(hub, request.query.get("as", "U0ADA")))

    async def live(request: web.Request) -> web.StreamResponse:
        return await _live(hub, request)

    async def commands(request: web.Request) -> web.Response:
        if request.method == "POST":
            with hub.workspace.lock:
                hub.workspace.commands = await request.json()
            hub.workspace.changed()
        return web.json_response(hub.workspace.commands)

    return [
        web.get("/", _page),
        web.get("/archives/{channel}/p{stamp}", _permalink),
        web.get("/lab/state", state),
        web.get("/lab/events", live),
        web.route("*", "/lab/commands", commands),
        web.post("/lab/{doing}", do),
        web.get("/lab/{file}", _file),
    ]


def shown_to(hub: Hub, me: str) -> Json:
    """Everything that one person sees."""
    workspace = hub.workspace
    if me not in workspace.users:
        me = "U0ADA"
    workspace.dm(me)
    with workspace.lock:
        rooms = [
            channel
            for channel in workspace.channels.values()
            if me in channel.members and channel.dm_with in ("", me)
        ]
        return {
            "me": me,
            "bot": BOT_USER,
            "version": workspace.version,
            "connections": len(hub.sockets.lines),
            "over_http": bool(hub.courier.events_url),
            "users": {user.id: _user(user.as_slack()) for user in workspace.users.values()},
            "groups": {key: group["handle"] for key, group in workspace.groups.items()},
            "channels": [
                {"id": room.id, "name": room.name, "dm": bool(room.dm_with)} for room in rooms
            ],
            "messages": {
                room.id: [_message(one) for one in workspace.rooms.get(room.id, [])]
                for room in rooms
            },
            "private": [_message(one) for one in workspace.private if one.only_for == me],
            "views": hub.views.stacks.get(me, []),
            "home": hub.views.homes.get(me),
            "commands": workspace.commands,
        }


async def _live(hub: Hub, request: web.Request) -> web.StreamResponse:
    """One line for each change; the page then asks for what it shows."""
    loop, news = asyncio.get_running_loop(), asyncio.Event()
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    )
    await response.prepare(request)

    def tell() -> None:
        loop.call_soon_threadsafe(news.set)

    hub.workspace.on_change.append(tell)
    try:
        while True:
            await response.write(f"data: {hub.workspace.version}\n\n".encode())
            try:
                await asyncio.wait_for(news.wait(), QUIET)
                await asyncio.sleep(0.03)  # several changes of one moment are one
            except TimeoutError:
                pass
            news.clear()
    except ConnectionError:
        return response
    finally:
        hub.workspace.on_change.remove(tell)


async def _page(request: web.Request) -> web.Response:
    return _served("page.html", "text/html")


async def _file(request: web.Request) -> web.Response:
    name = request.match_info["file"]
    if name not in KINDS:
        raise web.HTTPNotFound
    return _served(name, KINDS[name])


async def _permalink(request: web.Request) -> web.Response:
    stamp = request.match_info["stamp"]
    ts = request.query.get("thread_ts") or f"{stamp[:-6]}.{stamp[-6:]}"
    raise web.HTTPFound(f"/#{request.match_info['channel']}/{ts}")


def _served(name: str, kind: str) -> web.Response:
    headers = {"Content-Security-Policy": ONLY_FROM_HERE, "Cache-Control": "no-store"}
    text = (HERE / "web" / name).read_text(encoding="utf-8")
    return web.Response(text=text, content_type=kind, charset="utf-8", headers=headers)


async def _command(hub: Hub, body: Json) -> object:
    done = await verbs.command(hub, body["as"], body["name"], body.get("text", ""), body["channel"])
    return {"acked": done.acked, "seconds": done.seconds}


async def _say(hub: Hub, body: Json) -> object:
    await composer.say(hub, body["as"], body["channel"], body["text"], body.get("thread_ts") or "")
    return None


async def _click(hub: Hub, body: Json) -> object:
    done = await verbs.click(
        hub,
        body["as"],
        body["where"],
        body["action_id"],
        body.get("value"),
        body.get("block_id") or "",
    )
    return {"acked": done.acked, "seconds": done.seconds}


async def _submit(hub: Hub, body: Json) -> object:
    done = await filling.submit(hub, body["as"], body["values"], body["view_id"])
    return {"acked": done.acked, "seconds": done.seconds}


async def _close(hub: Hub, body: Json) -> object:
    await filling.close(hub, body["as"], body.get("view_id", ""))
    return None


async def _home(hub: Hub, body: Json) -> object:
    await verbs.open_home(hub, body["as"])
    return None


def _user(user: Json) -> Json:
    return {
        "name": user["name"],
        "real_name": user["real_name"],
        "bot": user["is_bot"],
        "gone": user["deleted"],
        "guest": user.get("is_ultra_restricted", False),
        "stranger": user.get("is_stranger", False),
    }


def _message(message: Message) -> Json:
    return {
        "ts": message.ts,
        "channel": message.channel,
        "user": message.user,
        "text": message.text,
        "blocks": message.blocks,
        "thread_ts": message.thread_ts,
        "broadcast": message.broadcast,
        "private": bool(message.only_for),
        "edited": message.edited_at is not None and not message.blocks,
        "reactions": {name: len(users) for name, users in message.reactions.items()},
        "files": message.files,
        "attachments": message.attachments,
        "replies": [_message(reply) for reply in message.replies],
    }
