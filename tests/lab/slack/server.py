"""The Web API and response URLs over HTTP: tokens, arguments, scopes, rate limits."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from tests.lab.slack import chat, directory, files, forms
from tests.lab.slack.answering import Failing, answer
from tests.lab.slack.hub import Hub
from tests.lab.slack.records import Call, Json, SlackError

STRUCTURED = ("blocks", "attachments", "view", "metadata", "files")
GONE = ("used_url", "expired_url", "no_such_url")


@dataclass(frozen=True)
class Method:
    run: Callable[[Hub, Json], Json]
    scope: str = ""
    app_token: bool = False
    form_only: bool = False  # as at Slack, such a method does not look at a JSON body


METHODS = {
    "api.test": Method(lambda hub, args: {"args": args}),
    "auth.test": Method(directory.auth_test),
    "apps.connections.open": Method(directory.connections_open, app_token=True),
    "chat.postMessage": Method(chat.post_message, "chat:write"),
    "chat.update": Method(chat.update, "chat:write"),
    "chat.delete": Method(chat.delete, "chat:write"),
    "chat.postEphemeral": Method(chat.post_ephemeral, "chat:write"),
    "chat.getPermalink": Method(chat.get_permalink, form_only=True),
    "conversations.info": Method(directory.conversations_info, "channels:read", form_only=True),
    "conversations.list": Method(directory.conversations_list, "channels:read", form_only=True),
    "conversations.members": Method(directory.members, "channels:read", form_only=True),
    "conversations.open": Method(directory.conversations_open, "im:write"),
    "files.completeUploadExternal": Method(files.complete_upload, "files:write"),
    "files.getUploadURLExternal": Method(files.get_upload_url, "files:write", form_only=True),
    "reactions.add": Method(chat.react, "reactions:write"),
    "reactions.remove": Method(chat.unreact, "reactions:write"),
    "usergroups.list": Method(directory.usergroups_list, "usergroups:read", form_only=True),
    "usergroups.users.list": Method(directory.usergroup_users, "usergroups:read", form_only=True),
    "users.info": Method(directory.users_info, "users:read", form_only=True),
    "users.list": Method(directory.users_list, "users:read", form_only=True),
    "views.open": Method(forms.views_open),
    "views.publish": Method(forms.views_publish),
    "views.push": Method(forms.views_push),
    "views.update": Method(forms.views_update),
}


def routes(hub: Hub) -> list[web.RouteDef]:
    async def api(request: web.Request) -> web.StreamResponse:
        return await _call(hub, request)

    async def response_url(request: web.Request) -> web.StreamResponse:
        return await _respond(hub, request)

    async def link(request: web.Request) -> web.StreamResponse:
        if hub.away:
            return web.Response(status=503)
        return await hub.sockets.connect(request)

    async def upload(request: web.Request) -> web.Response:
        return await files.receive(hub, request)

    async def file(request: web.Request) -> web.Response:
        return await files.show(hub, request)

    return [
        web.route("*", "/api/{method}", api),
        web.post("/actions/{number}/{secret}", response_url),
        web.get("/link/", link),
        web.post("/upload/{key}", upload),
        web.get("/files/{key}", file),
    ]


async def _call(hub: Hub, request: web.Request) -> web.StreamResponse:
    name = request.match_info["method"]
    method = METHODS.get(name)
    call = Call(name, {}, time.time())
    token = ""

    async def read() -> None:
        nonlocal token
        call.args, token = await _arguments(request, bool(method and method.form_only))

    def run() -> Json:
        wait = hub.rates.take(name, str(call.args.get("channel", "")))
        if wait:
            raise Failing("", 429, wait)
        if method is None:
            raise SlackError("unknown_method", req_method=name)
        _check_token(hub, name, method, token)
        return {"ok": True} | method.run(hub, call.args)

    return await answer(hub, request, call, read, run)


async def _respond(hub: Hub, request: web.Request) -> web.StreamResponse:
    key = f"{request.match_info['number']}/{request.match_info['secret']}"
    call = Call("response_url", {}, time.time())

    async def read() -> None:
        body = _parsed((await request.read()).decode() or "{}")
        if not isinstance(body, dict):
            raise SlackError("invalid_payload")
        call.args = body

    def run() -> Json:
        chat.respond(hub, hub.tickets.use(key), call.args, "response_url", "response_url")
        return {"ok": True}

    def status(error: SlackError) -> int:
        return 404 if error.error in GONE else 400

    return await answer(hub, request, call, read, run, status)


def _check_token(hub: Hub, name: str, method: Method, token: str) -> None:
    if name == "api.test":
        return
    if not token:
        raise SlackError("not_authed")
    if token not in (hub.bot_token, hub.app_token):
        raise SlackError("invalid_auth")
    if (token == hub.app_token) != method.app_token:
        raise SlackError("not_allowed_token_type")
    granted = hub.workspace.scopes
    if method.scope and granted is not None and method.scope not in granted:
        raise SlackError("missing_scope", needed=method.scope, provided=",".join(sorted(granted)))


async def _arguments(request: web.Request, form_only: bool) -> tuple[Json, str]:
    """Arguments from JSON, form or query, and the token from wherever it is."""
    args: Json = dict(request.query)
    raw = await request.read()
    if request.content_type == "application/json":
        body = _parsed(raw.decode()) if raw and not form_only else {}
        if not isinstance(body, dict):
            raise SlackError("json_not_object")
        args |= body
    elif raw:
        args |= dict(await request.post())
    for key in STRUCTURED:
        if isinstance(args.get(key), str):
            args[key] = _parsed(args[key], "invalid_blocks_format" if key == "blocks" else "")
    header = request.headers.get("Authorization", "")
    in_body = str(args.pop("token", ""))
    return args, header.removeprefix("Bearer ").strip() or in_body


def _parsed(text: str, error: str = "invalid_json") -> object:
    try:
        return json.loads(text)
    except ValueError:
        raise SlackError(error or "invalid_json") from None
