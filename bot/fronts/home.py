"""App Home: the board for one reader, as Block Kit, with the buttons that this person may press.

Pure functions. A button's value is the line that it says, as on a card.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot import words
from bot.board import Asked, Board, Standing, may_answer
from bot.command import Command
from bot.fronts import blocks
from bot.fronts import slack_text as text
from bot.fronts.blocks import Block
from bot.fronts.cards import SIGNS
from bot.operations import Operation
from bot.people import People, Speaker

View = dict[str, Any]

BLOCKS = 100  # Slack's limit for a view
ASKED, ENVIRONMENTS, RECENT = 8, 22, 12
SUBJECT = 150
HEALTH = {
    "well": ":white_check_mark:", "ill": ":x:", "changing": ":arrows_counterclockwise:",
    "unknown": ":white_circle:",
}  # fmt: skip


def view(
    board: Board,
    people: People,
    speaker: Speaker,
    commands: Mapping[str, Command],
    link: str = "",
) -> View:
    """Return the home of one person, who sees this board; `link` leads to the whole of it."""
    reader = _Reader(people, speaker, commands)
    mine = [asked for asked in board.asks if reader.answers(asked)]
    shown: list[Block] = []
    if mine:
        shown.append(_header("Waits for your yes"))
        for asked in mine[:ASKED]:
            shown += _asked(asked, reader)
        shown += _more(len(mine) - ASKED, "question")
    shown.append(_header("Environments"))
    for env in board.environments[:ENVIRONMENTS]:
        shown += _environment(env, board, reader)
    shown += _more(len(board.environments) - ENVIRONMENTS, "environment")
    shown += [{"type": "divider"}, _header("Last operations"), *_recent(board)]
    foot = f"as of {text.date(board.at)}"
    if link:
        foot += f"  ·  <{link}|the whole board>"
    return {"type": "home", "blocks": [*shown[: BLOCKS - 1], blocks.small([foot])]}


def stranger(said: str) -> View:
    """Return the home of somebody who may see nothing, with the reason."""
    return {"type": "home", "blocks": [blocks.section(text.escape(said))]}


class _Reader:
    """What one person may say."""

    def __init__(self, people: People, speaker: Speaker, commands: Mapping[str, Command]) -> None:
        self.people, self.speaker, self.commands = people, speaker, commands

    def says(self, name: str, environment: str) -> bool:
        found = self.commands.get(name)
        return found is not None and self.people.may(self.speaker, found.permission, environment)

    def answers(self, asked: Asked) -> bool:
        known = self.commands.get(asked.operation.command)
        permission = known.permission if known else asked.operation.command
        return may_answer(asked, self.people, self.speaker, permission)


def _asked(asked: Asked, reader: _Reader) -> list[Block]:
    operation, question = asked.operation, asked.question
    number = f"#{operation.number}"
    who = text.person(str(operation.audience.get("user", "")), operation.person)
    lines = [
        f":question: *{text.name(question.text, 300)}*",
        f"{number} {text.name(operation.line, SUBJECT)}, asked by {who}",
        *(text.escape(line, 300) for line in text.fold(question.about, 6)),
    ]
    if question.until:
        lines.append(f"until {text.date(question.until)}")
    buttons = [
        blocks.button("once:approve", "Approve", f"approve {number} {question.token}", "primary"),
        blocks.button("once:reject", "Reject", f"reject {number}", "danger"),
    ]
    known = [b for b in buttons if str(b["action_id"]).partition(":")[2] in reader.commands]
    shown = [blocks.section(text.cut("\n".join(lines), text.SECTION))]
    if known:
        place = f"ask:{operation.number}:{question.token}"[:255]
        shown.append({"type": "actions", "block_id": place, "elements": known})
    return shown


def _environment(env: Standing, board: Board, reader: _Reader) -> list[Block]:
    live = env.live
    head = f"{HEALTH.get(env.health, HEALTH['unknown'])} *{text.name(env.name)}*"
    lines = [head + "  ·  nothing released yet"]
    if live:
        subject = text.name(live.subject or live.ref, SUBJECT)
        lines = [f"{head}  ·  `{text.name(live.commit[:7])}` {subject}"]
        since = env.operation.finished if env.operation else None
        who, ref = text.name(live.person, 80), text.name(live.ref, 80)
        at = text.date(since or live.at, "{date_short_pretty} {time}")
        lines.append(f"release {live.number} of {ref}, by {who}, since {at}")
    if env.running:
        lines.append(f":arrows_counterclockwise: {_said(env.running)}")
    elif env.health == "ill":
        lines.append(f":x: {text.name(env.said, 300)}")
    if env.queue:
        lines.append(f":hourglass_flowing_sand: waits: {_said(env.queue[0])}")
        if env.queue[1:]:
            lines.append(f"and {words.count(len(env.queue) - 1, 'operation')} after it")
    if env.lock:
        lines.append(f":lock: {text.name(words.lock_line(env.lock, board.at), 300)}")
    if env.freeze:
        until = text.date(env.freeze.until, "{date_short_pretty} {time}")
        why = text.name(env.freeze.reason, 200)
        lines.append(f":snowflake: frozen until {until} by {text.name(env.freeze.by, 80)}: {why}")
    for coming in env.coming[:3]:
        at = text.date(coming.at, "{date_short_pretty} {time}") if coming.at else "no clock runs"
        lines.append(f":clock3: {text.name(coming.say, 100)}: {at}")
    shown = [blocks.section(text.cut("\n".join(lines), text.SECTION))]
    if buttons := _buttons(env, reader):
        shown.append({"type": "actions", "block_id": f"env:{env.name}", "elements": buttons})
    return shown


def _buttons(env: Standing, reader: _Reader) -> list[Block]:
    name, found = env.name, list[Block]()
    if env.running and reader.says("cancel", name) and not env.running.cancelled_by:
        number = f"#{env.running.number}"
        said = f"{number} {env.running.line} stops at the next safe point."
        ask = blocks.confirm(f"Cancel {number}?", said, "Cancel it", "Let it run")
        found.append(blocks.button("say:cancel", "Cancel", f"cancel {number}", "danger", ask))
    if reader.says("deploy", name):
        branch = reader.people.config.environments[name].branch
        said = f"deploy {name}: the newest {branch} goes out."
        ask = blocks.confirm(f"Deploy to {name}?", said, "Deploy", "Leave it")
        found.append(blocks.button("say:deploy", "Deploy", f"deploy {name}", "", ask))
    if reader.says("status", name):
        found.append(blocks.button("say:status", "Status", f"status {name}"))
    if env.lock and env.lock.person == reader.speaker.name and reader.says("unlock", name):
        found.append(blocks.button("say:unlock", "Unlock", f"unlock {name}"))
    return found


def _recent(board: Board) -> list[Block]:
    if not board.recent:
        return [blocks.section("nothing was asked yet; `/packlead help` says what can be")]
    rows = []
    for o in board.recent[:RECENT]:
        took = ""
        if o.started and o.finished:
            took = f", {words.duration(max(0.0, o.finished - o.started))}"
        sign = SIGNS.get(o.state, SIGNS["waiting"])
        at = text.date(o.created, "{date_short_pretty} {time}")
        rows.append(f"{sign} {_said(o)}{took}, {at}")
    return [blocks.section(page) for page in text.pages(rows, most=4)]


def _said(operation: Operation) -> str:
    line, person = text.name(operation.line, SUBJECT), text.name(operation.person, 80)
    return f"#{operation.number} {line}, {person}"


def _header(said: str) -> Block:
    return {"type": "header", "text": {"type": "plain_text", "text": text.plain(said, 150)}}


def _more(count: int, noun: str) -> list[Block]:
    return [blocks.small([f"and {words.count(count, noun)} more"])] if count > 0 else []
