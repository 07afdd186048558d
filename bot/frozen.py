"""Freezes: times in which nothing is deployed to an environment, and how people say until when."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from bot.config import Environment
from bot.errors import Misunderstood, Refused
from bot.words import duration

if TYPE_CHECKING:
    from bot.job import Job

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SAID = "say 36h, 17:00, friday, 2026-12-27 or 2026-12-27T08:00"
LONGEST = 366 * 86400.0


@dataclass(frozen=True)
class Freeze:
    """Until when (Unix seconds) an environment is left alone, why, and who said so."""

    until: float
    reason: str
    by: str
    since: float = 0.0  # of a window in the config: it may begin later

    @classmethod
    def read(cls, note: Any) -> Freeze | None:
        """Return the freeze that a note holds."""
        return cls(note["until"], note["reason"], note["by"]) if note else None


def heed_freeze(job: Job, environment: Environment, force: str | None) -> None:
    """Raise Refused while an environment is frozen, by its config or by a person; heed --force."""
    if force is not None:
        job.check_force(environment)
        return
    now = job.now()
    last = frozen(job, environment.name, now)
    if last is None:
        return
    over = ', or: --force "REASON"' if environment.force else ""
    raise Refused(
        f"{environment.name} is frozen for {duration(last.until - now)} more, by {last.by}: "
        f"{last.reason}",
        f"wait{over}; status, rollback, restart and scale work all the same",
    )


def frozen(job: Job, environment: str, now: float) -> Freeze | None:
    """Return the freeze that holds now, of those that a person or the config said."""
    return later(job.history.freeze(environment), job.calendar.frozen(environment), now)


def later(said: Freeze | None, window: Freeze | None, now: float) -> Freeze | None:
    """Return which of two freezes holds now, the one that ends last where both do."""
    found = [f for f in (said, window) if f and f.since <= now < f.until]
    return max(found, key=lambda f: f.until, default=None)


def until(word: str, now: float, zone: dt.tzinfo | None) -> float:
    """Read until when, in a person's time zone; `now` and the answer are Unix seconds."""
    here = dt.datetime.fromtimestamp(now, dt.UTC).astimezone(zone)
    text = word.lower()
    at: dt.datetime | None = None
    if found := re.fullmatch(r"(\d{1,4})([mhd])", text):
        at = here + dt.timedelta(seconds=int(found[1]) * {"m": 60, "h": 3600, "d": 86400}[found[2]])
    elif found := re.fullmatch(r"(\d{1,2}):(\d{2})", text):
        at = _clock(here, int(found[1]), int(found[2]))
    elif len(text) >= 3 and (days := [n for n, day in enumerate(DAYS) if day.startswith(text)]):
        ahead = (days[0] - here.weekday() - 1) % 7 + 1
        at = _midnight(here.date() + dt.timedelta(days=ahead), zone)
    else:
        try:
            told = dt.datetime.fromisoformat(word)
            at = told if told.tzinfo else _local(told, zone)
        except ValueError:
            at = None
    if at is None:
        raise Misunderstood(f'"{word}" is no time', SAID)
    if not 0 < at.timestamp() - now <= LONGEST:
        raise Misunderstood(f'"{word}" is not within the next year', SAID)
    return at.timestamp()


def _clock(here: dt.datetime, hour: int, minute: int) -> dt.datetime | None:
    if hour > 23 or minute > 59:
        return None
    at = here.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return at if at > here else at + dt.timedelta(days=1)


def _midnight(day: dt.date, zone: dt.tzinfo | None) -> dt.datetime:
    return _local(dt.datetime.combine(day, dt.time()), zone)


def _local(naive: dt.datetime, zone: dt.tzinfo | None) -> dt.datetime:
    return naive.replace(tzinfo=zone) if zone else naive.astimezone()


def zone_of(name: str) -> ZoneInfo | None:
    """Return a time zone by its name; None, which is this machine's own, where it is not known."""
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):
        return None
