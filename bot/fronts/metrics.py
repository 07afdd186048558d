"""GET /metrics: the figures for Prometheus, on this machine or for whoever has the token."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiohttp import web

from bot import metrics
from bot.counts import COUNTS, Counts
from bot.fronts import metrics_text
from bot.fronts.http import Route
from bot.fronts.page_gate import HEADERS, bears, here
from bot.store import Store

PATH = "/metrics"
TOKEN = "PACKLEAD_METRICS_TOKEN"  # noqa: S105  # the name of the variable, not its value


def routes(
    store: Store,
    environ: Mapping[str, str],
    pushes: Mapping[str, int] | None = None,
    counts: Counts = COUNTS,
    url: str = "",
) -> list[Route]:
    """Return the route; `pushes` are the counts of the ways in for pushes, by outcome, and `url` is
    where people reach the pages."""
    token = environ.get(TOKEN, "").strip()

    async def scrape(request: web.Request) -> web.Response:
        if not (here(request, url) or bears(request, token)):
            return web.Response(status=403, text=f"from here, or with {TOKEN}\n", headers=HEADERS)
        reading = await asyncio.to_thread(metrics.read, store)
        body = metrics_text.exposed(reading, counts, pushes or {})
        headers = {**HEADERS, "Content-Type": metrics_text.TYPE}
        return web.Response(body=body, headers=headers)

    return [web.get(PATH, scrape)]
