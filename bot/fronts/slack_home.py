"""Publishes App Home for whoever looks at it: when it is opened, and after a button in it.

A listener only notes who it was; Slack's Web API is called by a task of its own, after the ack.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from typing import Any

from bot import board
from bot.config import Config
from bot.dispatcher import Dispatcher
from bot.errors import Refused
from bot.fronts import home
from bot.fronts.poster import Desk
from bot.fronts.slack_people import SlackDirectory
from bot.fronts.slack_send import Away, Lost, No
from bot.links import Links

log = logging.getLogger(__name__)

TRIES = 4
AFTER = 0.7  # seconds after a click: what it asked for has been recorded then, and often begun


class Homes:
    """The homes of a workspace; of one person's openings at the same time one is drawn."""

    def __init__(
        self, config: Config, dispatcher: Dispatcher, directory: SlackDirectory, desk: Desk
    ) -> None:
        self.config, self.dispatcher = config, dispatcher
        self.directory, self.desk = directory, desk
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()  # of these something more has happened since it was read

    def opened(self, user: str, teams: Collection[str], after: float = 0.0) -> None:
        """Have somebody's home drawn, soon."""
        if not user:
            return
        if user in self._tasks:
            self._again.add(user)
            return
        self._tasks[user] = asyncio.create_task(self._draw(user, frozenset(teams), after))

    async def stop(self) -> None:
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _draw(self, user: str, teams: frozenset[str], after: float) -> None:
        try:
            while True:
                await asyncio.sleep(after)
                self._again.discard(user)
                await self._publish(user, teams)
                if user not in self._again:
                    return
                after = AFTER
        finally:
            self._tasks.pop(user, None)

    async def _publish(self, user: str, teams: frozenset[str]) -> None:
        for _ in range(TRIES):
            try:
                shown = await self.view(user, teams)
                await self.desk.web.call("views.publish", user_id=user, view=shown)
                return
            except (Away, Lost) as problem:  # a home is drawn whole: twice is as good as once
                await asyncio.sleep(min(max(getattr(problem, "seconds", 0.0), 0.5), 30.0))
            except No as error:
                log.error("drawing the home of %s: %s", user, error)
                return
            except Exception:
                log.exception("drawing the home of %s", user)
                return

    async def view(self, user: str, teams: frozenset[str]) -> dict[str, Any]:
        """Return what somebody's home shows now: the environments whose status they may see."""
        people = self.dispatcher.people
        try:
            speaker = people.identify(self.directory.who(user, teams))
        except Refused as no:
            return home.stranger(str(no))
        every = tuple(self.config.environments)
        seen = tuple(name for name in every if people.may(speaker, "status", name))
        if not seen:
            return home.stranger(f"{speaker.name} may not see any environment")
        only = None if seen == every else seen
        now = await self.desk.database(
            board.read, self.desk.store, self.config, only, self.dispatcher.windows
        )
        links = Links(self.desk.store.key, self.config.url, self.desk.store.now)
        return home.view(now, people, speaker, self.dispatcher.commands, links.board(only))
