"""How deploying goes: how often, how long from the wish to the hosts, how often it fails, and for
how long. Pure functions of what was deployed.

Everything is counted of the same days. A deploy *failed* where it stopped, or was rolled back from
later. It is *restored* when the next release is healthy on every host.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

DAY = 86400.0


@dataclass(frozen=True)
class Deploy:
    """One release: rolling, healthy, failed or rolled back; `back`: it is a rollback itself."""

    state: str
    asked: float
    ended: float | None
    back: bool = False

    @property
    def failed(self) -> bool:
        return self.state in ("failed", "rolled back")

    @property
    def landed(self) -> bool:
        return self.state in ("healthy", "rolled back")


@dataclass(frozen=True)
class Day:
    """One day: how many deploys were well and how many failed, and the medians in seconds."""

    well: int = 0
    failed: int = 0
    lead: float | None = None
    restore: float | None = None


@dataclass(frozen=True)
class Figures:
    """The figures of one environment; the days are the oldest first, today the last."""

    days: tuple[Day, ...] = ()
    deploys: int = 0
    weekly: float = 0.0
    lead: float | None = None
    failed: int = 0
    rate: float | None = None
    restore: float | None = None
    broken: bool = False  # the newest failure is not restored yet


def figures(deploys: Iterable[Deploy], now: float, days: int = 30) -> Figures:
    """Return the figures of the last days, from releases in their order."""
    past = list(deploys)
    asked = [d for d in past if not d.back and d.ended and now - d.ended < days * DAY]
    failed = [d for d in asked if d.failed]
    times = {id(d): restored(d, past) for d in failed}
    leads = [d.ended - d.asked for d in asked if d.landed and d.ended]
    known = [t for t in times.values() if t is not None]
    each: list[list[Deploy]] = [[] for _ in range(days)]
    for deploy in asked:
        each[days - 1 - int((now - (deploy.ended or now)) // DAY)].append(deploy)
    return Figures(
        days=tuple(_day(those, times) for those in each),
        deploys=len(asked),
        weekly=sum(d.landed for d in asked) * 7 / days,
        lead=median(leads) if leads else None,
        failed=len(failed),
        rate=len(failed) / len(asked) if asked else None,
        restore=median(known) if known else None,
        broken=bool(failed) and times[id(failed[-1])] is None,
    )


def restored(failed: Deploy, past: list[Deploy]) -> float | None:
    """Return how long a failure lasted: until the next healthy end; None where it still does.

    One that was rolled back from was wrong from its own end on.
    """
    begun = failed.ended or 0.0
    later = past[next(n for n, d in enumerate(past) if d is failed) + 1 :]
    return next((d.ended - begun for d in later if d.state == "healthy" and d.ended), None)


def _day(deploys: list[Deploy], times: dict[int, float | None]) -> Day:
    leads = [d.ended - d.asked for d in deploys if d.landed and d.ended]
    known = [t for d in deploys if (t := times.get(id(d))) is not None]
    bad = sum(d.failed for d in deploys)
    return Day(
        len(deploys) - bad,
        bad,
        median(leads) if leads else None,
        median(known) if known else None,
    )
