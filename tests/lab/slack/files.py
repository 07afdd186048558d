"""Uploading a file: ask for a URL, post the bytes there, complete it into a channel."""

from __future__ import annotations

import secrets

from aiohttp import web

from tests.lab.slack.hub import Hub
from tests.lab.slack.people import BOT, BOT_USER
from tests.lab.slack.records import Json, Message, SlackError


def get_upload_url(hub: Hub, args: Json) -> Json:
    name, length = str(args.get("filename") or ""), int(args.get("length") or 0)
    if not name or length <= 0:
        raise SlackError("invalid_arguments")
    key = f"F{secrets.token_hex(5).upper()}"
    hub.uploads[key] = {"id": key, "name": name, "size": length, "content": None}
    return {"upload_url": f"{hub.url}/upload/{key}", "file_id": key}


def complete_upload(hub: Hub, args: Json) -> Json:
    done = []
    for item in args.get("files") or []:
        upload = hub.uploads.get(str(item.get("id", "")))
        if upload is None or upload["content"] is None:
            raise SlackError("file_not_found")
        upload["title"] = item.get("title") or upload["name"]
        done.append({key: upload[key] for key in ("id", "name", "title", "size")})
    if not done:
        raise SlackError("invalid_arguments")
    if args.get("channel_id"):
        channel = hub.workspace.channel(str(args["channel_id"]))
        if BOT_USER not in channel.members:
            raise SlackError("not_in_channel")
        hub.workspace.add(
            Message(
                channel=channel.id,
                ts=hub.workspace.new_ts(),
                user=BOT_USER,
                bot_id=BOT,
                text=str(args.get("initial_comment") or ""),
                thread_ts=str(args.get("thread_ts") or ""),
                files=[file | {"url_private": f"{hub.url}/files/{file['id']}"} for file in done],
            )
        )
    return {"files": done}


async def receive(hub: Hub, request: web.Request) -> web.Response:
    upload = hub.uploads.get(request.match_info["key"])
    if upload is None:
        return web.Response(status=404, text="no such upload")
    if request.content_type.startswith("multipart/"):
        form = await request.post()
        parts = [part for part in form.values() if isinstance(part, web.FileField)]
        upload["content"] = parts[0].file.read() if parts else b""
    else:
        upload["content"] = await request.read()
    return web.Response(text=f"OK - {len(upload['content'])}")


async def show(hub: Hub, request: web.Request) -> web.Response:
    upload = hub.uploads.get(request.match_info["key"])
    if upload is None or upload["content"] is None:
        return web.Response(status=404, text="no such file")
    return web.Response(body=upload["content"], content_type="text/plain", charset="utf-8")
