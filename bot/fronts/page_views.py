"""The pages as HTML. Jinja2 escapes everything; there is no script in a page, and no style."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot import words
from bot.board import Board
from bot.events import Event, Question
from bot.fronts import page_plots
from bot.fronts.page_entries import state_of
from bot.fronts.slack_text import clean, cut
from bot.operations import Operation

if TYPE_CHECKING:
    import jinja2

HERE = Path(__file__).parent
STATIC = {"pages.css": "text/css", "board.js": "text/javascript", "log.js": "text/javascript",
          "common.js": "text/javascript", "window.js": "text/javascript",
          "icon.svg": "image/svg+xml"}  # fmt: skip
MARKS = {
    "well": "ok", "done": "ok", "healthy": "ok", "ill": "bad", "failed": "bad",
    "changing": "run", "running": "run", "rolling": "run", "waiting": "ask", "queued": "wait",
    "cancelled": "off", "unknown": "wait",
}  # fmt: skip


def board(shown: Board, app: str) -> str:
    """Return the board."""
    return _page("board.html", shown.at, board=shown, app=app, plots=page_plots)


def log(
    operation: Operation, end: Event | None, children: list[Operation], now: float, app: str,
    whole: bool,
) -> str:  # fmt: skip
    """Return the page of one operation; its log comes by itself. `whole`: the board is seen too."""
    question = end if isinstance(end, Question) else None
    said = [clean(line) for line in (words.lines(end) if end else ())]
    if question:
        said += [clean(line) for line in question.about]
    return _page(
        "log.html", now, operation=operation, said=said, question=question, app=app, whole=whole,
        children=children, ended=state_of(end) if end and not question else "",
    )  # fmt: skip


def refusal(why: str, app: str) -> str:
    """Return what somebody sees who may not see anything."""
    return _page("refusal.html", 0.0, why=why, app=app)


@cache
def static(name: str) -> bytes:
    return (HERE / "static" / name).read_bytes()


def about(seconds: float) -> str:
    """Return a length of time roughly: 42 s, 3 min, 2 h or 3 d."""
    return " ".join(words.duration(seconds).split()[:2])


def _page(template: str, now: float, **values: Any) -> str:
    made = _templates().get_template(template)
    return made.render(now=now, version=_version(), **values)


@cache
def _version() -> str:
    """Return what changes whenever a static file does."""
    return hashlib.sha256(b"".join(static(name) for name in sorted(STATIC))).hexdigest()[:10]


@cache
def _templates() -> jinja2.Environment:
    import jinja2  # with the first page: most houses are asked for none for hours

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "duration": words.duration,
        "about": about,
        "short": lambda commit: commit[:7],
        "clean": lambda text, most=300: cut(clean(text), most),
        "iso": lambda at: f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "clock": lambda at: f"{datetime.fromtimestamp(at, UTC):%d %b %H:%M} UTC",
        "mark": lambda state: MARKS.get(state, "wait"),
        "percent": lambda share: f"{share * 100:.0f} %",
        "count": words.count,
    }
    return made
