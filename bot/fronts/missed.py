"""Pushes of which no webhook told: GitHub sends each once, and perhaps nobody was here then.

Docs: "GitHub does not automatically redeliver failed webhook deliveries" (docs.github.com, Handling
failed webhook deliveries). So the heads of the branches that deploy by themselves are looked at now
and then; one that no webhook has told of, and that stands at the second look, is a push.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from bot.config import Config
from bot.errors import BotError
from bot.fronts.pushes import KIND, Pushes, known, stand_in
from bot.masking import mask
from bot.store import Store

log = logging.getLogger(__name__)


class Missed:
    """Looks from a thread of its own; `head` returns the commit of a branch."""

    def __init__(
        self, config: Config, store: Store, pushes: Pushes, head: Callable[[str], str]
    ) -> None:
        self.config, self.store, self.pushes, self.head = config, store, pushes, head
        # Between two looks a webhook may still come.
        self._pause = config.github.look if config.github else 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="missed-pushes", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(3.0)

    def look(self) -> None:
        """Ask for what was missed, as the service person whose pushes those of nobody are."""
        wanting = [e for e in self.config.environments.values() if e.auto]
        heads = {branch: self.head(branch) for branch in {e.auto for e in wanting}}
        for environment in wanting:
            name, branch = environment.name, environment.auto
            head, note = heads[branch], self.store.note(KIND, name)
            if note.get("branch") != branch:
                note = {}  # what is there when we look for the first time is no news
            if note.get("head") == head:
                continue
            if note.get("seen") == head:
                id, who = f"push:{name}:missed:{head}", stand_in(self.config)
                if self.pushes.ask_now(id, name, branch, who, "somebody") is None:
                    continue  # the database is away
                log.warning("no webhook told of %s at %s", branch, head[:7])
                note = {}
            self.store.keep_note(KIND, name, known(branch, note.get("head", head), head))

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.look()
            except BotError as error:
                log.warning("looking for pushes: %s", mask(error.text))
            except Exception:
                log.exception("looking for pushes")
            self._stopping.wait(self._pause)
