"""Who people are, as Slack knows them: kept in memory, so that nobody waits for it before an ack.

Everybody whom the config names, and the members of the user groups it gives permissions to, are
read at the start, every minute, and when Slack tells of a change. What is too old is worth nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from bot.config import Config
from bot.fronts.slack_send import Away, Lost, No, Web
from bot.people import Who

log = logging.getLogger(__name__)

FRESH_SECONDS = 45.0
STALE_SECONDS = 120.0
USERS_A_MINUTE = 30  # Slack takes about 100 of users.info, of all processes of `web` together
AT_ONCE = 8


class SlackDirectory:
    """The people and groups of one workspace that the config speaks of."""

    def __init__(
        self, config: Config, web: Web, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.team = config.slack.team if config.slack else ""
        self.web, self.clock = web, clock
        self._people = {p.slack for p in config.people.values() if p.slack}
        self._groups = {w for row in config.permissions for w in row.who if _is_group(w)} - (
            set(config.people)
        )
        self._members: dict[str, frozenset[str]] = {}
        self._status: dict[str, tuple[str, float]] = {}
        self._zones: dict[str, str] = {}
        self._shared: set[str] = set()  # whom an enterprise has in ours and in other workspaces
        self._groups_at = float("-inf")
        self._wake = asyncio.Event()
        self.loaded = asyncio.Event()

    def who(self, user: str, teams: Collection[str]) -> Who:
        """Say who somebody is, from memory; `teams` are all workspaces that the payload names.

        Of somebody of an enterprise a click names the home workspace too, wherever it is made.
        """
        ours = user in self._shared and self.team in teams
        team = self.team if ours else next((t for t in teams if t != self.team), self.team)
        groups = frozenset(g for g, members in self._members.items() if user in members)
        zone = self._zones.get(user, "")
        return Who("slack", user, team, groups, self._say(user, team), zone)

    def _say(self, user: str, team: str) -> str:
        if team != self.team:
            return "stranger"
        known = self._status.get(user)
        if known is None:
            # Whoever has rights is known once they were read; to anybody else People says no.
            missing = user in self._people or any(user in m for m in self._members.values())
            return "unreachable" if missing or not self._fresh(self._groups_at) else "member"
        status, at = known
        if status != "member":
            return status
        return status if self._fresh(at) and self._fresh(self._groups_at) else "unreachable"

    def _fresh(self, at: float) -> bool:
        return self.clock() - at <= max(STALE_SECONDS, 2 * self._period())

    def _period(self) -> float:
        return max(FRESH_SECONDS, len(self._status) * 60.0 / USERS_A_MINUTE)

    async def load(self) -> None:
        """Read all of it; raises Away or Lost where Slack could not be asked.

        Who was not looked at for longest comes first: where there are more than Slack takes in a
        minute, the next call goes on with those that are left.
        """
        for group in sorted(self._groups):
            began = self.clock()
            self._members[group] = await self._ask_group(group)
            log.debug("user group %s read in %.1f s", group, self.clock() - began)
        self._groups_at = self.clock()
        wanted = self._people.union(*self._members.values())
        self._status = {u: s for u, s in self._status.items() if u in wanted}
        read = {user: self._status.get(user, ("", float("-inf")))[1] for user in wanted}
        due = [u for u in wanted if self.clock() - read[u] >= FRESH_SECONDS]
        gate, problems = asyncio.Semaphore(AT_ONCE), list[Exception]()

        async def one(user: str) -> None:
            async with gate:
                if problems:
                    return
                at = self.clock()
                try:
                    self._status[user] = (await self._ask_user(user), at)
                except (Away, Lost) as problem:
                    problems.append(problem)

        await asyncio.gather(*map(one, sorted(due, key=lambda user: (read[user], user))))
        if problems:
            raise problems[0]

    async def run(self, stop: asyncio.Event) -> None:
        """Read it now and again and again, sooner after a change, until stopped."""
        failures = 0
        while not stop.is_set():
            wait = 0.0
            try:
                await self.load()
                self.loaded.set()
                failures = 0
            except (Away, Lost) as problem:
                failures += 1
                wait = getattr(problem, "seconds", 0.0)
                log.warning("asking Slack who people are: %s", problem)
            except Exception:
                failures += 1
                log.exception("bug while asking Slack who people are")
            wait = max(wait, min(2.0**failures / 4, 20.0)) if failures else self._period()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait)
            self._wake.clear()

    def wake(self) -> None:
        self._wake.set()

    def heard(self, event: Mapping[str, Any]) -> None:
        """Take what Slack tells of a changed person or group."""
        if event.get("type") == "user_change":
            user = event.get("user")
            if isinstance(user, dict) and user.get("id") in self._status:
                self._status[str(user["id"])] = (self._learn(user), self.clock())
        elif event.get("type") == "subteam_members_changed":
            group = str(event.get("subteam_id", ""))
            if group in self._members:
                # Who was added is let in when they have been looked at; who was removed is out now.
                self._members[group] -= frozenset(map(str, event.get("removed_users") or ()))
                self.wake()

    async def _ask_group(self, group: str) -> frozenset[str]:
        try:
            answer = await self.web.call("usergroups.users.list", usergroup=group)
        except No as error:
            log.error("user group %s: %s; it counts as empty", group, error)
            return frozenset()
        members = answer.get("users")
        if not isinstance(members, list):
            raise Away(f"user group {group}: Slack's answer makes no sense")
        return frozenset(map(str, members))

    async def _ask_user(self, user: str) -> str:
        try:
            answer = await self.web.call("users.info", user=user)
        except No as error:
            log.error("user %s: %s; they count as gone", user, error)
            return "gone"
        found = answer.get("user")
        if not isinstance(found, dict) or found.get("id") != user:
            raise Away(f"user {user}: Slack's answer makes no sense")
        return self._learn(found)

    def _learn(self, user: Mapping[str, Any]) -> str:
        """Take what Slack tells of somebody; return what they are."""
        id, teams = str(user["id"]), (user.get("enterprise_user") or {}).get("teams") or ()
        self._zones[id] = str(user.get("tz") or "")
        (self._shared.add if self.team in teams else self._shared.discard)(id)
        return self._status_of(user)

    def _status_of(self, user: Mapping[str, Any]) -> str:
        if user.get("deleted"):
            return "gone"
        if user.get("is_bot") or user.get("is_workflow_bot"):
            return "bot"
        if user.get("is_stranger") or not self._at_home(user):
            return "stranger"
        if user.get("is_restricted") or user.get("is_ultra_restricted"):
            return "guest"
        return "member"

    def _at_home(self, user: Mapping[str, Any]) -> bool:
        teams = (user.get("enterprise_user") or {}).get("teams") or ()
        return user.get("team_id") == self.team or self.team in teams


def _is_group(word: str) -> bool:
    return word.startswith("S") and word[1:].isalnum() and word.isupper()
