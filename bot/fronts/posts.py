"""The thread below a card: one line of a story, or several, as a message in Slack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot import words
from bot.events import Answered, Called, Done, Output, Planned, Shown
from bot.fronts import blocks
from bot.fronts import slack_text as text
from bot.fronts.blocks import Block
from bot.fronts.cards import AGAIN, MARKS, SIGNS, Message, Style, spoken
from bot.fronts.story import Line, Story

PLANNED = 24  # lines of a plan
POST = 4  # blocks that one line of a thread may take


def post(
    lines: Sequence[Line],
    story: Story,
    style: Style,
    again: bool = False,
    people: Mapping[str, str] | None = None,
) -> Message:
    """Return one message of the thread, made of one or more lines of the story.

    `people` are the ids in Slack of those whom it calls by their names.
    """
    who = people or {}
    said = "\n".join(words.say(line.event) for line in lines)
    if any(line.kind == "plan" for line in lines):
        said = f"the plan: {said}"
    mark = [f"({AGAIN})"] if again else []
    if style is Style.TEXT:
        body = "\n".join([*(row for line in lines for row in _as_text(line, story, who)), *mark])
        return {"text": text.cut(body, text.TEXT) if body.strip() else "…"}
    message = {"text": spoken("\n".join([said, *mark]))}
    shown = [block for line in lines for block in _as_blocks(line, story, who)]
    if again:
        shown.append(blocks.small(mark))
    return message | {"blocks": blocks.within(shown)}


def weight(line: Line) -> int:
    """Return how many blocks a line of a thread takes at most."""
    return POST if line.kind in ("plan", "output", "answer", "shown", "end") else 1


def _as_blocks(line: Line, story: Story, people: Mapping[str, str]) -> list[Block]:
    event = line.event
    match event:
        case Output(host, task, output):
            said = f"{MARKS['failed']} {text.name(host)}: {text.name(task)} did not work"
            tail = text.cut_front(text.clean(words.tail(output)), text.SECTION).strip()
            return [blocks.section(said), *([blocks.rich(tail)] if tail else [])]
        case Planned():
            rows = _rows(event)
            return [
                blocks.section(f"*the plan*: {text.escape(event.title, 500)}"),
                *(blocks.section(page) for page in text.pages(rows, most=POST - 1)),
            ]
        case Shown():
            about = "\n".join(words.shown_about(event))
            end = text.cut_front(text.clean(words.shown(event)), text.SECTION).strip("\n")
            below = [blocks.section(text.escape(about, 500))] if about else []
            return [*([blocks.rich(end)] if end.strip() else []), *below]
        case Answered():
            if event.table:
                return [
                    blocks.rich(page)
                    for page in text.pages(map(text.clean, event.lines), most=POST)
                ]
            return [blocks.section(page) for page in blocks.escaped_pages(event.lines, POST)]
        case _:
            rows = _as_text(line, story, people)
            return [blocks.section(page) for page in text.pages(rows, most=POST)]


def _rows(plan: Planned) -> list[str]:
    """Return the lines of a plan as a list; what is set in stands below the line before."""
    return [
        f"{'    ◦' if row.startswith('  ') else '•'} {text.escape(row.strip(), 300)}"
        for row in text.fold(plan.lines, PLANNED)
    ]


def _as_text(line: Line, story: Story, people: Mapping[str, str]) -> list[str]:
    """Return a line of the thread as mrkdwn."""
    event = line.event
    if isinstance(event, Output):
        said = f"{MARKS['failed']} {text.name(event.host)}: {text.name(event.task)} did not work"
        return [said, text.code(words.tail(event.text), 2000)] if event.text.strip() else [said]
    if isinstance(event, Called):
        # Posted once and never edited: whoever is called is called once.
        called = [text.person(people.get(name, name), name) for name in event.people]
        return [f"{text.escape(event.text, 500)} {words.listed(called)}"]
    if isinstance(event, Shown):
        tail = [text.code(words.shown(event), 2000)] if event.text.strip() else []
        return [*tail, *(text.escape(row, 500) for row in words.shown_about(event))]
    if isinstance(event, Planned):
        rows = _rows(event)
        return [f"*the plan*: {text.escape(event.title, 500)}", *rows]
    if isinstance(event, Answered):
        if event.table:
            return [text.code("\n".join(event.lines), 3000)]
        return [text.escape(row, 1000) for row in event.lines]
    said_lines = [text.escape(row, 1000) for row in text.fold(words.lines(event))]
    if line.kind == "host":
        mark = ":heavy_check_mark:" if getattr(event, "ok", True) else MARKS["failed"]
        return [f"{mark} {' '.join(said_lines)}"]
    if line.kind == "end":
        # One that is shown in the channel too says there what it is about.
        about = f"{text.name(story.operation.line)}: " if story.grave else ""
        said_lines[0] = f"{SIGNS[story.state]} {about}{said_lines[0]}"
        user = str(story.operation.audience.get("user", ""))
        if not isinstance(event, Done) and user:
            said_lines[0] += f"  {text.person(user, '')}"
    return said_lines
