"""The freeze windows of the config: cron lines that say when nothing is deployed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from apscheduler.triggers.cron import CronTrigger

from bot.config import Config, Window
from bot.frozen import Freeze

BY = "the config"
MOST = 1000  # firings that are looked at: windows that overlap make one


class Calendar:
    """When an environment is frozen by its config; `now` is given by tests."""

    def __init__(
        self, config: Config, now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
    ) -> None:
        self.config, self.now = config, now

    def frozen(self, environment: str) -> Freeze | None:
        """Return the window that is open now, the one that ends last where several are."""
        now = self.now()
        found = [
            Freeze(end.timestamp(), window.reason, BY)
            for window in self.config.environments[environment].freeze
            if (end := open_until(window, now))
        ]
        return max(found, key=lambda freeze: freeze.until, default=None)

    def coming(self, environment: str) -> Freeze | None:
        """Return the window that is open now, or else the one that opens next."""
        if found := self.frozen(environment):
            return found
        now, ahead = self.now(), list[Freeze]()
        for window in self.config.environments[environment].freeze:
            if began := _cron(window).get_next_fire_time(None, now):
                end = began + dt.timedelta(hours=window.hours)
                ahead.append(Freeze(end.timestamp(), window.reason, BY, began.timestamp()))
        return min(ahead, key=lambda freeze: freeze.since, default=None)


def open_until(window: Window, now: dt.datetime) -> dt.datetime | None:
    """Return when a window closes that is open now; None where it is not open."""
    cron = _cron(window)
    length = dt.timedelta(hours=window.hours)
    began = cron.get_next_fire_time(None, now - length)
    end: dt.datetime | None = None
    for _ in range(MOST):
        if began is None or began > now:
            break
        end = began + length
        began = cron.get_next_fire_time(None, began + dt.timedelta(minutes=1))
    return end


def _cron(window: Window) -> CronTrigger:
    return CronTrigger.from_crontab(window.at, timezone=ZoneInfo(window.zone))


def wrong(config: Config) -> list[str]:
    """Return what is wrong with the windows of the config."""
    told = []
    for environment in config.environments.values():
        for number, window in enumerate(environment.freeze):
            at = f"environments.{environment.name}.freeze.{number}"
            try:
                open_until(window, dt.datetime.now(dt.UTC))
            except ZoneInfoNotFoundError:
                told.append(f"{at}.zone: there is no time zone {window.zone!r}")
            except ValueError as error:
                told.append(f"{at}.at: {error}")
    return told
