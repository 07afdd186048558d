"""Figures: what was measured, what was wanted, and whether that is broken."""

from __future__ import annotations

import os
import signal
import statistics
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

COLUMNS = ("figure", "measured", "wanted")


@dataclass(frozen=True)
class Figure:
    """One row. `over` only marks it; `broken` is a promise of zero that was not kept."""

    name: str
    measured: str
    wanted: str = ""
    over: bool = False
    broken: bool = False


Measure = Callable[[], Iterable[Figure]]


def within(name: str, values: Sequence[float], most: float, digits: int, unit: str = "") -> Figure:
    """Return a median that should not be above `most`."""
    over = statistics.median(values) > most
    return Figure(name, spread(values, digits, unit), f"≤ {most:g}{unit}", over)


def none(name: str, failed: int, of: str) -> Figure:
    """Return a figure of which there must be none."""
    return Figure(name, f"{failed} of {of}", "0", broken=failed > 0)


def spread(values: Sequence[float], digits: int = 2, unit: str = " s") -> str:
    """Return a median with what it is the median of."""
    middle = f"{statistics.median(values):.{digits}f}{unit}"
    if len(values) == 1:
        return middle
    return f"{middle} ({len(values)} runs, {min(values):.{digits}f}-{max(values):.{digits}f})"


def show(measures: Mapping[str, Measure], chosen: Sequence[str]) -> int:
    """Measure, print the table, and return the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started ends with us
    print(load_line(), flush=True)
    rows = [figure for name in chosen for figure in _measured(name, measures[name])]
    print()
    for line in table(rows):
        print(line)
    print(load_line())
    return 1 if any(row.broken for row in rows) else 0


def table(rows: Sequence[Figure]) -> Iterator[str]:
    """Lay out the rows in columns; what was missed is marked at the end of its line."""
    cells = [COLUMNS, *((r.name, r.measured, r.wanted) for r in rows)]
    widths = [max(len(row[n]) for row in cells) for n in range(len(COLUMNS))]
    marks = ["", *("BROKEN" if r.broken else "over" if r.over else "" for r in rows)]
    for row, mark in zip(cells, marks, strict=True):
        padded = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"{padded}  {mark}".rstrip()


def load_line() -> str:
    """Say how busy the machine is, since every figure depends on it."""
    one, five, _ = os.getloadavg()
    return f"load average {one:.1f} (5 min: {five:.1f}) on {os.cpu_count()} cores"


def _measured(name: str, measure: Measure) -> Iterator[Figure]:
    """Measure one thing; where that breaks down the others are still measured."""
    print(f"\n--- {name}", flush=True)
    try:
        for figure in measure():
            print(f"{figure.name}: {figure.measured}", flush=True)
            yield figure
    except Exception:
        traceback.print_exc(file=sys.stdout)
        yield Figure(name, "not measured, see above", broken=True)
