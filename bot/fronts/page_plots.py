"""The small plots of the board: what is drawn where, in the units of an SVG of 120 by 28."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.dora import Day

WIDTH, HEIGHT, GAP = 120.0, 28.0, 1.0


@dataclass(frozen=True)
class Bar:
    """One day's bar; `kind` is well or bad: a bad one is drawn with an edge, and not filled."""

    x: float
    y: float
    width: float
    height: float
    kind: str


@dataclass(frozen=True)
class Dot:
    x: float
    y: float


def bars(days: Sequence[Day]) -> list[Bar]:
    """Draw how many deploys there were each day, the failed ones on top."""
    most = max((day.well + day.failed for day in days), default=0)
    if not most:
        return []
    slot, unit = WIDTH / len(days), (HEIGHT - 2) / max(most, 3)
    found = []
    for place, day in enumerate(days):
        floor = HEIGHT - 1
        for count, kind in ((day.well, "well"), (day.failed, "bad")):
            if count:
                floor -= count * unit
                x, width = place * slot + GAP / 2, slot - GAP
                found.append(Bar(round(x, 1), round(floor, 1), round(width, 1),
                                 round(count * unit, 1), kind))  # fmt: skip
    return found


def dots(values: Sequence[float | None]) -> list[Dot]:
    """Draw a value a day, the largest at the top; days without one stay empty."""
    known = [value for value in values if value is not None]
    if not known:
        return []
    slot, most = WIDTH / len(values), max(known) or 1.0
    return [
        Dot(
            round((place + 0.5) * slot, 1),
            round(HEIGHT - 3 - (HEIGHT - 6) * value / most, 1),
        )
        for place, value in enumerate(values)
        if value is not None
    ]


def rates(days: Sequence[Day]) -> list[float | None]:
    """Return the share of failed deploys of each day."""
    return [day.failed / (day.well + day.failed) if day.well + day.failed else None for day in days]
