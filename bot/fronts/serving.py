"""What `packlead web` serves: Slack's own ways in, those for pushes, the pages and the metrics.

Where the config knows no Slack, the rest is served without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from bot.config import Config
from bot.dispatcher import Dispatcher
from bot.fronts import metrics, pages
from bot.fronts.http import Route
from bot.fronts.pushes import Pushes
from bot.links import Links
from bot.store import Store


async def serve(
    config: Config,
    store: Store,
    dispatcher: Dispatcher,
    environ: Mapping[str, str],
    stop: asyncio.Event,
    ready: Callable[[], None],
    on_url: Callable[[str], None],
) -> None:
    """Serve everything until stopped. Raises Misconfigured."""
    given = routes(config, store, dispatcher, environ)
    if config.slack is None:
        await pages.serve(environ, store, given, stop, ready, on_url)
        return
    from bot.fronts import slack

    await slack.serve(config, store, dispatcher, environ, stop, ready, routes=given, on_url=on_url)


def routes(
    config: Config, store: Store, dispatcher: Dispatcher, environ: Mapping[str, str]
) -> list[Route]:
    """Return all ways in but Slack's: for pushes those whose secret is set."""
    from bot.fronts.deploys import SECRET, Deploys
    from bot.fronts.github import GitHub

    pushes = Pushes(config, dispatcher)
    found: list[Route] = []
    if secret := environ.get("GITHUB_WEBHOOK_SECRET", "").strip():
        found += GitHub(config, pushes, secret).routes()
    if secret := environ.get(SECRET, "").strip():
        found += Deploys(config, pushes, secret, store.now).routes()
    links = Links(store.key, config.url, store.now)
    return [
        *found,
        *pages.Pages(config, store, links, dispatcher.windows).routes(),
        *metrics.routes(store, environ, pushes.counts, url=config.url),
    ]
