"""The web server of a front, on loopback by default: a health page, and the routes it is given."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from aiohttp import web
from aiohttp.http import HttpProcessingError

from bot.errors import Misconfigured

HOST, PORT = "127.0.0.1", 3000
LONGEST_BODY = 1024 * 1024

Route = web.RouteDef
Health = Callable[[], Awaitable[Mapping[str, Any]]]


class _Unread(logging.Filter):
    """Tells of what is no HTTP in a line. aiohttp shows a traceback, and what somebody sent."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.msg, record.args = "a request is no HTTP: %s", (type(error).__name__,)
            record.exc_info, record.exc_text = None, None
            record.levelno, record.levelname = logging.INFO, "INFO"
        return True


wire = logging.getLogger(f"{__name__}.wire")
wire.addFilter(_Unread())


def application(health: Health, routes: Iterable[web.RouteDef] = ()) -> web.Application:
    """Return the application: GET /healthz, and the given routes.

    `health` returns names with whether each is well, or with anything else worth telling.
    """

    async def healthz(_request: web.Request) -> web.Response:
        found = await health()
        well = all(value is not False for value in found.values())
        return web.json_response({"ok": well, **found}, status=200 if well else 503)

    made = web.Application(client_max_size=LONGEST_BODY)
    made.router.add_get("/healthz", healthz)
    made.router.add_routes(routes)
    return made


class Server:
    """Serves an application until it is stopped; `url` says where."""

    def __init__(self, app: web.Application, host: str = HOST, port: int = PORT) -> None:
        self.host, self.port = host, port
        self._runner = web.AppRunner(app, access_log=None, logger=wire, shutdown_timeout=3.0)

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    async def start(self) -> None:
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port, backlog=512)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise Misconfigured(
                f"listening on {self.host}:{self.port}: {error.strerror}",
                "set PORT to another one (0 takes any that is free)",
            ) from None
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        await self._runner.cleanup()


def address(environ: Mapping[str, str]) -> tuple[str, int]:
    """Return host and port as the environment has them: HOST_ADDRESS and PORT."""
    port = environ.get("PORT", "") or str(PORT)
    if not port.isascii() or not port.isdecimal() or int(port) > 65535:
        raise Misconfigured(f"PORT is {port!r}, which is no port", "set PORT to a number")
    return environ.get("HOST_ADDRESS", "") or HOST, int(port)
