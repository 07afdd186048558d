"""A small lab with a bot in it, which is ended and started again as one likes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bot.config_file import load
from bot.store import Store
from tests.e2e.process import Begin, Bot, Packlead, begin
from tests.e2e.world import World
from tests.lab.fleet import Counts
from tests.lab.lab import Lab

QUICK = {"types": {"web": {"health_timeout": 8}}}


@contextlib.contextmanager
def small_house(
    fleet: Counts | None = None, more: Mapping[str, Any] | None = None, begin: Begin = begin
) -> Iterator[World]:
    """A fleet as small as one likes, so that a roll takes no longer than it must.

    `more` is laid over the config.
    """
    with Lab(config={**QUICK, **(more or {})}, fleet=fleet) as lab, contextlib.ExitStack() as stack:
        lab.slack.install(json.loads(Packlead(lab.env, "manifest").ends(0).out))
        config = load(lab.config)
        Path(config.data).mkdir(parents=True, exist_ok=True)
        store = Store(f"sqlite:///{config.data}/packlead.db", patience=60)
        bot = Bot(lab.env, lab.folder / "bot.log", begin)
        stack.callback(store.close)
        stack.callback(bot.stop)
        bot.start()
        yield World(lab, config, store, bot)
