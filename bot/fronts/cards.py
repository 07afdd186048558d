"""Block Kit: how a story and a private answer look in Slack; its thread is in posts.py.

Pure functions. Every limit of Slack is kept by construction; `text` is always a full sentence. What
people, git or hosts wrote is escaped, or stands where Slack knows no markup.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from enum import IntEnum
from typing import Any

from bot import words
from bot.events import Question, WasCancelled
from bot.fronts import blocks
from bot.fronts import slack_text as text
from bot.fronts.blocks import Block
from bot.fronts.story import Story, Task

Message = dict[str, Any]

TASKS = 50
DETAIL = 700  # of what happens now, or went wrong
SHORT = 100  # of what is over, where there are not too many steps
MANY = 20
TELL = "tell"  # the command that only says something: its line says no more than its card

COLUMNS = re.compile(r"\S {3,}\S")
SIGNS = {
    "waiting": ":hourglass_flowing_sand:",
    "running": ":arrows_counterclockwise:",
    "stopping": ":octagonal_sign:",
    "asking": ":question:",
    "done": ":white_check_mark:",
    "cancelled": ":no_entry_sign:",
    "failed": ":x:",
}
MARKS = {
    "pending": ":white_circle:",
    "running": ":arrows_counterclockwise:",
    "done": ":white_check_mark:",
    "skipped": ":fast_forward:",
    "cancelled": ":no_entry_sign:",
    "failed": ":x:",
}
STATUS = {"running": "in_progress", "done": "complete", "skipped": "complete", "pending": "pending"}
AGAIN = "said again: Slack's answer to the first time was lost"


class Style(IntEnum):
    """What Slack takes; each is tried when it has refused the one before."""

    PLAN = 0
    SECTIONS = 1
    TEXT = 2


def card(
    story: Story, style: Style, commands: Collection[str], again: bool = False, log: str = ""
) -> Message:
    """Return the root message of an operation as it stands now; `log` is where all of it is."""
    message = {"text": spoken(_sentence(story))}
    if style is Style.TEXT:
        return message
    shown = [blocks.section(_root(story)), *_about(story)]
    if story.tasks:
        shown += [_plan(story)] if style is Style.PLAN else _steps(story)
    if buttons := _buttons(story, commands):
        place = f"ctl:{story.operation.number}:{story.turn}"
        shown.append({"type": "actions", "block_id": place, "elements": buttons})
    return message | {"blocks": blocks.within([*shown, _context(story, again, log)])}


def private(
    lines: Iterable[str], style: Style, table: bool = False, again: bool = False
) -> Message:
    """Return an answer that only one person sees; as fixed-width columns where it is a table."""
    lines = [text.clean(line) for line in lines] + ([f"({AGAIN})"] if again else [])
    whole = "\n".join(lines)
    message = {"text": text.code(whole, text.TEXT) if table else spoken(whole)}
    if style is Style.TEXT or (len(message["text"]) < text.SECTION and not table):
        return message
    if table:
        return message | {"blocks": [blocks.rich(page) for page in text.pages(lines, most=3)]}
    return message | {"blocks": [blocks.section(page) for page in blocks.escaped_pages(lines, 3)]}


def answer(said: str, style: Style = Style.TEXT) -> Message:
    """Return what is answered at once; columns stay columns."""
    lines = said.splitlines()
    table = len(lines) > 1 and any(COLUMNS.search(line) for line in lines)
    return private(lines, Style.PLAN if len(said) > text.SECTION else style, table)


def spoken(said: str) -> str:
    """Return the text of a message: for notifications and screen readers; it is never empty."""
    shown = text.escape(said, text.TEXT)
    return shown if shown.strip() else "…"


# -- the card ------------------------------------------------------------------------------------


def _root(story: Story) -> str:
    parts = [f"{SIGNS[story.state]} *{text.name(story.title, 300)}*", _state(story)]
    if far := _far(story):
        parts.append(far)
    if story.over and story.began and story.ended:
        parts.append(words.duration(max(0.0, story.ended - story.began)))
    elif story.began and not story.over:
        parts.append(f"since {text.date(story.began)}")
    return "  ·  ".join(parts)


def _state(story: Story) -> str:
    match story.state:
        case "waiting":
            return f"waits for {text.name(story.behind, 20)}" if story.behind else "waits"
        case "stopping":
            return f"stopping, {text.name(story.operation.cancelled_by, 80)} said so"
        case "cancelled":
            by = story.end.by if isinstance(story.end, WasCancelled) else ""
            return f"cancelled by {text.name(by or story.operation.cancelled_by, 80)}"
        case "asking":
            return "asks first"
        case "failed":
            return "stopped"
        case state:
            return state


def _far(story: Story) -> str:
    if story.over or not story.tasks:
        return ""
    task = story.current
    if task is None:
        return ""
    far = text.name(task.title, 100)
    return f"{far} {task.done}/{task.total}" if task.total else far


def _about(story: Story) -> list[Block]:
    """Return what came of it, or what is asked."""
    event = story.end or story.question
    if event is None:
        return []
    said = list(words.lines(event))
    if isinstance(event, Question):
        said += event.about
        if event.second:
            said.append(f"somebody else must say yes: {words.listed(event.approvers)}")
    escaped = [text.escape(line, 600) for line in text.fold(said)]
    body = text.cut("\n".join(line for line in escaped if line), text.SECTION)
    return [blocks.section(body)] if body else []


def _plan(story: Story) -> Block:
    tasks = list(story.tasks.values())
    ended = sum(task.state in ("done", "skipped") for task in tasks)
    shown = [_card(task, story) for task in _most(tasks)]
    if len(tasks) > TASKS:
        more = {"pending": "pending", "running": "in_progress"}.get(tasks[-1].state, "complete")
        title = f"and {len(tasks) - len(shown)} more steps"
        shown.append({"type": "task_card", "task_id": "more", "title": title, "status": more})
    return {"type": "plan", "title": f"{_verb(story)} · {ended}/{len(tasks)}", "tasks": shown}


def _most(tasks: list[Task]) -> list[Task]:
    """Return as many tasks as a plan may hold with one more, around what happens now."""
    if len(tasks) <= TASKS:
        return tasks
    live = [n for n, task in enumerate(tasks) if task.state in ("running", "failed")]
    start = max(0, min((live[0] if live else 0) - 5, len(tasks) - (TASKS - 1)))
    return tasks[start : start + TASKS - 1]


def _card(task: Task, story: Story) -> Block:
    block: Block = {
        "type": "task_card",
        "task_id": f"step-{list(story.tasks).index(task.id)}",
        "title": text.plain(" · ".join([text.cut(task.title, 80), *_measures(task)]), 110),
        "status": STATUS.get(task.state, "error"),
    }
    live = task.state in ("running", "failed")
    most = DETAIL if live else SHORT
    if (detail := _detail(task, story)) and (live or len(story.tasks) <= MANY):
        block["details"] = {
            "type": "rich_text",
            "elements": [
                {
                    "type": "rich_text_section",
                    "elements": [{"type": "text", "text": text.plain(detail, most)}],
                }
            ],
        }
    failed = [t.id for t in story.tasks.values() if t.state == "failed"]
    if failed[-1:] == [task.id] and story.tail and story.tail.text.strip():
        block["output"] = blocks.rich(text.cut_front(words.tail(story.tail.text, 8), DETAIL))
    return block


def _measures(task: Task) -> list[str]:
    found = [f"{task.done}/{task.total}"] if task.total and task.state == "running" else []
    if task.state in ("skipped", "cancelled"):
        found.append(task.state)
    elif task.ended and task.ended - task.began >= 1:
        found.append(words.duration(task.ended - task.began))
    return found


def _detail(task: Task, story: Story) -> str:
    if task.state == "failed" and story.tail:
        return task.detail or f"{story.tail.host}: {story.tail.task}"
    return "" if task.state == "pending" else task.detail.strip()


def _steps(story: Story) -> list[Block]:
    """Return the plan without the plan block."""
    rows = []
    tasks = list(story.tasks.values())
    shown = _most(tasks)
    for task in shown:
        row = [MARKS.get(task.state, MARKS["failed"]), text.name(task.title)]
        row += [f"· {measure}" for measure in _measures(task)]
        if (detail := _detail(task, story)) and task.state in ("running", "failed"):
            row.append(f"— {text.name(detail, 300)}")
        rows.append(" ".join(row))
    if len(tasks) > len(shown):
        rows.append(f"and {len(tasks) - len(shown)} more steps")
    return [blocks.section(page) for page in text.pages(rows)]


def _verb(story: Story) -> str:
    name = text.plain(story.operation.command, 40)
    state = {"running": "under way", "waiting": "waiting", "failed": "stopped"}
    return f"{name} {state.get(story.state, story.state)}"


def _buttons(story: Story, commands: Collection[str]) -> list[Block]:
    operation = story.operation
    number = f"#{operation.number}"
    if story.question and not story.over:
        token = story.question.token
        answers = [
            ("approve", "Approve", "primary", f"approve {number} {token}"),
            ("reject", "Reject", "danger", f"reject {number}"),
        ]
        return [
            blocks.button(f"once:{verb}", label, line, look)
            for verb, label, look, line in answers
            if verb in commands
        ]
    if not story.over:
        if "cancel" not in commands or story.state == "stopping":
            return []
        warning = f"{number} {operation.line} stops at the next safe point."
        ask = blocks.confirm(f"Cancel {number}?", warning, "Cancel it", "Let it run")
        return [blocks.button("say:cancel", "Cancel", f"cancel {number}", "danger", ask)]
    found = []
    if story.state in ("failed", "cancelled") and story.operation.exclusive:
        ask = blocks.confirm("Do it again?", operation.line, "Do it again", "Leave it")
        found.append(blocks.button("once:retry", "Retry", operation.line, "", ask))
    # One that touched no host has nothing to go back from.
    began = any(t.state != "pending" for t in story.tasks.values() if t.id != "ci")
    if "rollback" in commands and operation.command == "deploy" and operation.exclusive and began:
        line = f"rollback {operation.environment} --from {number}"
        said = f"what {number} brought to {operation.environment} goes, the release before comes"
        ask = blocks.confirm("Roll back?", f"{said} back.", "Roll back", "No")
        found.append(blocks.button("once:rollback", "Roll back", line, "danger", ask))
    return found


def _context(story: Story, again: bool, log: str = "") -> Block:
    operation = story.operation
    who = text.person(str(operation.audience.get("user", "")), operation.person)
    parts = [f"asked by {who}", f"#{operation.number}"]
    if operation.line != story.title and operation.command != TELL:
        parts.append(text.name(operation.line, 300))
    if story.plan and story.plan.seconds and not story.over:
        parts.append(f"usually takes {words.duration(story.plan.seconds)}")
    if story.ended:
        parts.append(f"ended {text.date(story.ended, '{date_short_pretty} {time}')}")
    if log:
        parts.append(f"<{log}|log>")
    return blocks.small(["  ·  ".join(parts), *([AGAIN] if again else [])])


def _sentence(story: Story) -> str:
    operation = story.operation
    start = f"{operation.line} (#{operation.number}, asked by {operation.person})"
    if operation.command == TELL:
        return story.title
    if story.end is not None:
        return f"{start}: {' '.join(words.lines(story.end)[:3])}"
    state = f"waits for {story.behind}" if story.behind and not story.began else story.state
    now = story.current
    if now is None:
        return f"{start}: {state}"
    far = f", {now.done} of {now.total}" if now.total else ""
    return f"{start}: {state}, {now.title}{far}" + (f": {now.detail}" if now.detail else "")
