"""An operation's log for the page, entry by entry: as JSON to draw, and as plain text to keep."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bot import words
from bot.events import (
    END,
    Accepted,
    Answered,
    Done,
    Entry,
    HostReport,
    Output,
    Planned,
    Printed,
    Question,
    Shown,
    StepEnded,
    StepProgress,
    StepStarted,
    Typed,
    WasCancelled,
)
from bot.fronts.slack_text import clean

Drawn = dict[str, Any]


def drawn(entry: Entry) -> Drawn | None:
    """Return what the page draws; None of what it does not show."""
    event, at = entry.event, entry.at
    match event:
        case Accepted():
            return _line("accepted", words.say(event), at)
        case Planned():
            steps = [[step.id, clean(step.title)] for step in event.steps]
            lines = [clean(line) for line in event.lines]
            return {"k": "plan", "at": at, "title": clean(event.title), "t": lines, "steps": steps}
        case StepStarted():
            return {"k": "step", "at": at, "id": event.step, "t": clean(event.detail)}
        case StepProgress():
            told = {"k": "step", "at": at, "id": event.step, "t": clean(event.detail)}
            return told | {"done": event.done, "total": event.total}
        case StepEnded():
            told = {"k": "over", "at": at, "id": event.step, "t": clean(event.detail)}
            return told | {"state": event.state}
        case HostReport():
            told = {"k": "host", "at": at, "h": clean(event.host), "t": clean(event.text)}
            return told | {"ok": event.ok, "id": event.step}
        case Output():
            told = {"k": "out", "at": at, "h": clean(event.host), "task": clean(event.task)}
            return told | {"t": clean(event.text), "ok": event.ok}
        case Printed():
            told = {"k": "out", "at": at, "h": clean(event.host), "task": "output", "ok": True}
            return told | {"t": clean(event.text), "raw": True}
        case Shown() | Typed(text=""):
            return None  # what was printed or typed comes as an entry of its own
        case Answered():
            return {"k": "answer", "at": at, "t": [clean(line) for line in event.lines]}
        case Question():
            lines = [clean(line) for line in (event.text, *event.about)]
            return {"k": "question", "at": at, "t": lines}
    lines = [clean(line) for line in words.lines(event)]
    if isinstance(event, END):
        return {"k": "end", "at": at, "t": lines, "state": state_of(event)}
    return {"k": "note", "at": at, "t": lines}


def state_of(event: object) -> str:
    """Return how an operation ended: done, cancelled or failed."""
    if isinstance(event, Done | Answered):
        return "done"
    return "cancelled" if isinstance(event, WasCancelled) else "failed"


def text(entry: Entry) -> str:
    """Return an entry as lines of a text file, each with its newline."""
    event = entry.event
    at = f"{datetime.fromtimestamp(entry.at, UTC):%H:%M:%S}"
    if isinstance(event, Shown) or (isinstance(event, Typed) and not event.text):
        return ""
    if isinstance(event, Printed):
        return clean(event.text)
    if isinstance(event, Output):
        bad = "" if event.ok else " did not work"
        rows = [f"{event.host}: {event.task}{bad}", *event.text.splitlines()]
    elif isinstance(event, Question):
        rows = [event.text, *event.about]
    else:
        rows = list(words.lines(event)) or [words.say(event)]
    first, *rest = [clean(row) for row in rows]
    return "".join([f"{at}  {first}\n", *(f"          {row}\n" for row in rest)])


def _line(kind: str, said: str, at: float) -> Drawn:
    return {"k": kind, "at": at, "t": [clean(said)]}
