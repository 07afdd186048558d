"""The plot of docs/large-fleets.md, from the figures that the bench has printed.

python -m tests.bench fleet | tee figures.txt
python -m tests.bench.plot < figures.txt > docs/large-fleets.svg
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from html import escape

LINE = re.compile(
    r"^j\. (\d+) hosts, (\d+ workers?(?:, one run)?): (deploy|most of one worker):? +([\d.]+)",
    re.MULTILINE,
)
PANELS = {"deploy": "seconds of a deploy", "most of one worker": "MB that one worker takes at most"}
COLOURS = ("#767676", "#1f5fa8", "#2e7d4f", "#b3541e")  # each at least 4.5:1 on white
WIDTH, HEIGHT, LEFT, TOP, GAP = 300, 220, 60, 40, 90
Points = list[tuple[float, float]]


def main() -> int:
    panels = read(sys.stdin.read())
    if not panels:
        print("no figure j was printed there", file=sys.stderr)
        return 1
    print("\n".join(drawn(panels)))
    return 0


def read(text: str) -> dict[str, dict[str, Points]]:
    """Return the points of each line of each panel; of what was printed twice, the last."""
    found: dict[str, dict[str, dict[float, float]]] = {}
    for hosts, way, what, value in LINE.findall(text):
        found.setdefault(what, {}).setdefault(way, {})[float(hosts)] = float(value)
    return {
        what: {way: sorted(points.items()) for way, points in sorted(ways.items(), key=_rank)}
        for what, ways in found.items()
    }


def drawn(panels: Mapping[str, Mapping[str, Points]]) -> Iterator[str]:
    """Draw the panels side by side, with one legend."""
    ways = list(dict.fromkeys(way for lines in panels.values() for way in lines))
    width, height = LEFT + len(panels) * (WIDTH + GAP), TOP + HEIGHT + 80
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'font-family="sans-serif" font-size="12" fill="#222">'
    )
    yield "<title>A deploy to hosts in memory, by hosts and by workers</title>"
    yield f'<rect width="{width}" height="{height}" fill="#fff"/>'
    for place, (what, lines) in enumerate(panels.items()):
        yield from _panel(LEFT + place * (WIDTH + GAP), PANELS[what], lines, ways)
    for place, way in enumerate(ways):
        x, y = LEFT + place * 150, TOP + HEIGHT + 60
        yield f'<rect x="{x}" y="{y - 9}" width="18" height="4" fill="{COLOURS[place % 4]}"/>'
        yield f'<text x="{x + 24}" y="{y - 3}">{escape(way)}</text>'
    yield "</svg>"


def _panel(left: float, title: str, lines: Mapping[str, Points], ways: list[str]) -> Iterator[str]:
    points = [point for line in lines.values() for point in line]
    right, top = max(x for x, _ in points), _round_up(max(y for _, y in points))

    def at(x: float, y: float) -> tuple[float, float]:
        return round(left + x / right * WIDTH, 1), round(TOP + HEIGHT - y / top * HEIGHT, 1)

    yield f'<text x="{left}" y="{TOP - 16}" font-weight="bold">{escape(title)}</text>'
    for step in range(5):
        x, y = at(0, top * step / 4)
        yield f'<path d="M{x} {y}h{WIDTH}" stroke="#ddd"/>'
        yield f'<text x="{x - 6}" y="{y + 4}" text-anchor="end">{top * step / 4:g}</text>'
    for hosts in dict.fromkeys(sorted(x for x, _ in points)):
        x, y = at(hosts, 0)
        if hosts >= right / 20:  # the smallest would stand on one another
            yield f'<text x="{x}" y="{y + 18}" text-anchor="middle">{hosts:g}</text>'
    yield f'<text x="{left + WIDTH}" y="{TOP + HEIGHT + 34}" text-anchor="end">hosts</text>'
    for way, line in lines.items():
        colour = COLOURS[ways.index(way) % len(COLOURS)]
        path = " ".join(f"{x},{y}" for x, y in _placed(line, at))
        dashed = ' stroke-dasharray="5 4"' if "one run" in way else ""
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dashed}/>'
        for x, y in _placed(line, at):
            yield f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>'


def _placed(line: Points, at: Callable[[float, float], tuple[float, float]]) -> Points:
    return [at(x, y) for x, y in line]


def _round_up(value: float) -> float:
    """Return a number above that divides well by four."""
    size = 10.0 ** (len(str(int(value))) - 1)
    return next(n * size for n in (1, 2, 4, 6, 8, 10, 12) if n * size >= value)


def _rank(item: tuple[str, object]) -> tuple[bool, int]:
    way = item[0]
    return "one run" not in way, int(way.split()[0])


if __name__ == "__main__":
    sys.exit(main())
