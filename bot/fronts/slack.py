"""The Slack front: hears by Socket Mode or signed HTTP, and tells what the log says."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response
from slack_bolt.request.async_request import AsyncBoltRequest
from sqlalchemy.exc import SQLAlchemyError

from bot.config import Config
from bot.dispatcher import Dispatcher
from bot.errors import Misconfigured
from bot.fronts import http
from bot.fronts.audience import Audience, Pen
from bot.fronts.poster import Desk
from bot.fronts.slack_form import Forms
from bot.fronts.slack_guard import Guard
from bot.fronts.slack_home import Homes
from bot.fronts.slack_people import SlackDirectory
from bot.fronts.slack_receive import Receiver, bolt
from bot.fronts.slack_send import Away, Lost, No, Web
from bot.fronts.slack_socket import Socket
from bot.store import Store

log = logging.getLogger(__name__)

EVENTS = "/slack/events"
ACK_SECONDS = 3.0
WAY_SECONDS = 0.1  # until the last ack has left
TIMEOUT = aiohttp.ClientTimeout(total=15.0, sock_connect=5.0)
WORKSPACE_ERRORS = {"invalid_auth", "not_authed", "token_revoked", "account_inactive"}


async def serve(
    config: Config,
    store: Store,
    dispatcher: Dispatcher,
    environ: Mapping[str, str],
    stop: asyncio.Event,
    ready: Callable[[], None] = lambda: None,
    *,
    host: str | None = None,
    port: int | None = None,
    routes: Iterable[web.RouteDef] = (),
    on_url: Callable[[str], None] | None = None,
) -> None:
    """Serve Slack until `stop` is set; `ready` is called once commands are answered.

    Signed HTTP where SLACK_SIGNING_SECRET is set, Socket Mode otherwise. Raises Misconfigured where
    it cannot begin. Slack being away is no reason not to begin: then it is waited for.
    """
    front = Front(config, store, dispatcher, environ)
    address = http.address(environ)
    server = http.Server(
        http.application(front.health, [*front.routes(), *routes]),
        host or address[0],
        address[1] if port is None else port,
    )
    await server.start()
    if on_url:
        on_url(server.url)
    try:
        await front.run(stop, ready)
    finally:
        await server.stop()


class Front:
    """Receiving, telling and knowing people, with one connection pool and one token."""

    def __init__(
        self, config: Config, store: Store, dispatcher: Dispatcher, environ: Mapping[str, str]
    ) -> None:
        self.config, self.store, self.dispatcher = config, store, dispatcher
        self.token, self.secret, self.app_token = _secrets(config, environ)
        self.url = environ.get("SLACK_API_URL", "")
        self.environ = environ
        self._guard: Guard | None = None
        self._socket: Socket | None = None
        # One thread: what is read and noted for Slack never crowds out anything else.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="slack-tell")

    def routes(self) -> list[web.RouteDef]:
        return [web.post(EVENTS, self._hear)] if self.secret else []

    async def health(self) -> dict[str, Any]:
        try:
            await asyncio.wait_for(self._database(self.store.newest_entry), 5.0)
            database = True
        except Exception:
            database = False
        if self.secret:
            return {"database": database, "slack": self._guard is not None}
        slack = self._socket is not None and await self._socket.connected()
        return {"database": database, "slack": slack}

    async def run(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """Begin, be ready, and end in the order that loses nothing."""
        connector = aiohttp.TCPConnector(limit=20, keepalive_timeout=5.0)
        async with aiohttp.ClientSession(connector=connector, timeout=TIMEOUT) as session:
            slack = Web(session, self.token, self.url, self.environ)
            identity = await self._introduce(slack, stop)
            if identity is None:
                return
            directory = SlackDirectory(self.config, slack)
            if url := str(identity.get("url") or ""):
                await self._database(self._settle, url)
            desk = Desk(slack, self.store, self.config, self.dispatcher.commands, self._database)
            audience = Audience(
                desk, Pen(self.store, Path(self.config.data)), lambda: receiver.lane.waiting > 0
            )
            receiver = Receiver(
                self.config, self.store, self.dispatcher, directory, audience.whisper,
                str(identity.get("user_id", "")), Forms(slack, audience.whisper),
                Homes(self.config, self.dispatcher, directory, desk),
            )  # fmt: skip
            app = bolt(self.token, self.secret, slack.url, slack.proxy, identity)
            receiver.listen(app)
            await self._live(stop, ready, app, directory, audience, receiver, slack.proxy)
        self._pool.shutdown(wait=False)

    async def _live(
        self,
        stop: asyncio.Event,
        ready: Callable[[], None],
        app: Any,
        directory: SlackDirectory,
        audience: Audience,
        receiver: Receiver,
        proxy: str,
    ) -> None:
        hearing = asyncio.Event()
        last = asyncio.Event()
        connecting = []
        if self.secret:
            self._guard = Guard(self.secret, self._first, partial(_dispatch, app))
            hearing.set()
        else:
            self._socket = Socket(app, self.app_token, proxy)
            connecting = [asyncio.create_task(self._socket.run(stop, hearing))]
        knowing = asyncio.create_task(directory.run(stop))
        telling = asyncio.create_task(audience.run(last))
        stopped = asyncio.create_task(stop.wait())
        await _first_of(directory.loaded.wait(), stopped, seconds=2.0)
        await _first_of(hearing.wait(), stopped)
        if not stop.is_set():
            log.info("Slack is heard")
            ready()
        await stopped
        self._guard = None
        if self._socket is not None:
            await self._socket.stop_hearing()
        await receiver.lane.drain(ACK_SECONDS)
        if self._socket is not None:
            await asyncio.sleep(WAY_SECONDS)
            await self._socket.close()
        last.set()
        await receiver.homes.stop()
        directory.wake()
        await asyncio.gather(telling, knowing, *connecting, return_exceptions=True)

    async def _introduce(self, slack: Web, stop: asyncio.Event) -> dict[str, Any] | None:
        """Ask Slack who we are; None where we were stopped before it said so."""
        while not stop.is_set():
            try:
                identity = await slack.call("auth.test")
            except No as error:
                raise Misconfigured(f"asking Slack who Packlead is: {error}") from None
            except (Away, Lost) as problem:
                if any(word in str(problem) for word in WORKSPACE_ERRORS):
                    raise Misconfigured(
                        f"Slack does not take SLACK_BOT_TOKEN ({problem})",
                        "copy it again from the app's page, OAuth & Permissions",
                    ) from None
                log.warning("asking Slack who Packlead is: %s", problem)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), max(getattr(problem, "seconds", 0.0), 1.0))
                continue
            team = identity.get("team_id")
            if self.config.slack and team != self.config.slack.team:
                raise Misconfigured(
                    f"SLACK_BOT_TOKEN belongs to workspace {team}, slack.team is "
                    f"{self.config.slack.team}",
                    "correct one of them",
                )
            return identity
        return None

    def _settle(self, url: str) -> None:
        """Note where the workspace is, for links to it; without it everything else goes on."""
        try:
            if self.store.note("slack", "workspace") != {"url": url}:
                self.store.keep_note("slack", "workspace", {"url": url})
        except SQLAlchemyError as error:
            log.warning("noting the workspace: %s", getattr(error, "orig", None) or error)

    async def _hear(self, request: web.Request) -> web.Response:
        guard = self._guard
        return await guard(request) if guard else web.Response(status=503)

    async def _first(self, key: str) -> bool:
        return bool(await asyncio.to_thread(self.store.once, key, 660.0))

    def _database(self, work: Callable[..., Any], *arguments: Any) -> Awaitable[Any]:
        return asyncio.get_running_loop().run_in_executor(self._pool, partial(work, *arguments))


async def _dispatch(app: Any, body: str, request: web.Request) -> web.Response:
    headers: dict[str, Any] = dict(request.headers)
    try:
        asked = AsyncBoltRequest(body=body, query=request.query_string, headers=headers)
    except ValueError:
        return web.Response(status=400)
    return await to_aiohttp_response(await app.async_dispatch(asked))


async def _first_of(work: Any, stopped: asyncio.Task[Any], seconds: float | None = None) -> None:
    task = asyncio.ensure_future(work)
    await asyncio.wait({task, stopped}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        task.cancel()


def _secrets(config: Config, environ: Mapping[str, str]) -> tuple[str, str, str]:
    """Return bot token, signing secret and app token, or say all that is missing."""
    wrong = []
    if config.slack is None:
        wrong.append("[slack] team is missing in the config file")
    token = environ.get("SLACK_BOT_TOKEN", "").strip()
    secret = environ.get("SLACK_SIGNING_SECRET", "").strip()
    app_token = environ.get("SLACK_APP_TOKEN", "").strip()
    if not token.startswith("xoxb-"):
        wrong.append("SLACK_BOT_TOKEN is not set to a bot token (xoxb-…)")
    if not secret and not app_token.startswith("xapp-"):
        wrong.append(
            "neither SLACK_APP_TOKEN (xapp-…, for Socket Mode) nor SLACK_SIGNING_SECRET is set"
        )
    if wrong:
        raise Misconfigured("\n".join(wrong), "set them in the environment, then: packlead check")
    return token, secret, app_token
