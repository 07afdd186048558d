"""The clock: requests that nobody types. It only fires; an operation's id makes each run be one.

APScheduler alone would drop what is a few seconds late and run a 01:30 job twice in autumn. Here a
run is named by its local wall time, so the doubled hour is one run, and so are all replicas'.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger

from bot.config import Config, Schedule
from bot.dispatcher import Dispatcher, Request
from bot.errors import BotError
from bot.parse import parse
from bot.people import Speaker, Who
from bot.store import Store

log = logging.getLogger(__name__)
CAUGHT_UP = dt.timedelta(hours=26)  # how far back a missed run is looked for


class Clock:
    """Says what the schedule says; `now` is given by tests."""

    def __init__(
        self,
        config: Config,
        store: Store,
        dispatcher: Dispatcher,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self.config, self.store, self.dispatcher, self.now = config, store, dispatcher, now
        self.scheduler: BackgroundScheduler | None = None

    def start(self) -> None:
        """Catch up what was missed, then fire what comes."""
        if not self.config.schedule:
            return
        self.scheduler = BackgroundScheduler(timezone="UTC")
        for row in self.config.schedule:
            self.scheduler.add_job(self.catch_up, args=(row,), misfire_grace_time=None)  # now
            self.scheduler.add_job(
                self.catch_up, Times(row), args=(row,), coalesce=True, max_instances=1,
                misfire_grace_time=None,
            )  # fmt: skip
        self.scheduler.start()

    def stop(self) -> None:
        if self.scheduler:
            self.scheduler.shutdown(wait=False)

    def catch_up(self, row: Schedule) -> None:
        """Submit the newest run that is due, if this schedule was known by then."""
        now = self.now()
        known = self.store.note("clock", row.name)
        coming = Times(row).get_next_fire_time(None, now + dt.timedelta(seconds=1))
        next_at = {"next": coming.timestamp()} if coming else {}
        if known != (noted := {"since": now.timestamp(), **known, **next_at}):
            self.store.keep_note("clock", row.name, noted)
            known = noted
        due = newest_due(row, now)
        if due is None or due.timestamp() < known["since"]:
            return
        request = Request(
            f"{row.name}:{due:%Y-%m-%dT%H:%M}", row.say, Who("clock", row.name),
            {"kind": "slack", "channel": row.channel, "public": True} if row.channel else {},
        )  # fmt: skip
        reply = self.dispatcher.ask(request)
        if not reply.ok:
            log.error("the schedule %s: %s", row.name, reply.text)


class Times(BaseTrigger):  # type: ignore[misc]  # it ships no types
    """The times of a cron line in its zone.

    Always asked anew from a UTC time: fed its own answer, CronTrigger stands still in the doubled
    hour of autumn.
    """

    def __init__(self, row: Schedule) -> None:
        try:
            self.cron = CronTrigger.from_crontab(row.at, timezone=ZoneInfo(row.zone))
        except ZoneInfoNotFoundError:
            raise ValueError(f"there is no time zone {row.zone!r}") from None

    def get_next_fire_time(
        self, previous: dt.datetime | None, now: dt.datetime
    ) -> dt.datetime | None:
        look = now.astimezone(dt.UTC)
        if previous is not None:
            look = max(look, previous.astimezone(dt.UTC) + dt.timedelta(minutes=1))
        found: dt.datetime | None = self.cron.get_next_fire_time(None, look)
        return found


def newest_due(row: Schedule, now: dt.datetime) -> dt.datetime | None:
    """Return the newest time at or before now, in the row's zone, that is not too long ago."""
    times, newest = Times(row), None
    at = times.get_next_fire_time(None, now - CAUGHT_UP)
    while at is not None and at <= now:
        newest = at
        at = times.get_next_fire_time(at, at)
    return newest


def wrong(config: Config, dispatcher: Dispatcher) -> list[str]:
    """Return what is wrong with the schedule: every line is parsed and authorised beforehand."""
    told = []
    now = dt.datetime.now(dt.UTC)
    for number, row in enumerate(config.schedule):
        at = f"schedule.{number} ({row.name})"
        try:
            if Times(row).get_next_fire_time(None, now) is None:
                told.append(f"{at}.at: {row.at!r} never fires")
        except ValueError as error:
            told.append(f"{at}.at: {error}")
        try:
            call = parse(row.say, dispatcher.commands, config)
            dispatcher.people.authorise(Speaker("clock"), call.command.permission, call.environment)
        except BotError as error:
            told.append(f"{at}.say: {error.text}")
    return told
