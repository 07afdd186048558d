"""App Home: the board for one reader, as Block Kit, with the buttons that this person may press.

Pure functions. A button's value is the line that it says, as on a card.
"""

from __future__ import annotations

import json
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

BLOCKS, BYTES = 100, 240_000  # Slack takes 100 blocks, and 250,000 bytes of JSON
ASKED, ENVIRONMENTS, RECENT = 8, 22, 12
TEXTS = (150, 60, 25)  # characters of what others wrote: as many as there is room for
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
    for most in TEXTS:
        made = _drawn(board, _Reader(people, speaker, commands, most), link)
        if len(json.dumps(made)) <= BYTES:
            break
    return made


def stranger(said: str) -> View:
    """Return the home of somebody who may see nothing, with the reason."""
    return {"type": "home", "blocks": [blocks.section(text.escape(said))]}


def _drawn(board: Board, reader: _Reader, link: str) -> View:
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
    shown += [{"type": "divider"}, _header("Last operations"), *_recent(board, reader)]
    foot = f"as of {text.date(board.at)}"
    if link:
        foot += f"  ·  <{link}|the whole board>"
    return {"type": "home", "blocks": [*shown[: BLOCKS - 1], blocks.small([foot])]}


class _Reader:
    """What one person may say, and how much of a text they get to read."""

    def __init__(
        self, people: People, speaker: Speaker, commands: Mapping[str, Command], most: int
    ) -> None:
        self.people, self.speaker, self.commands, self.most = people, speaker, commands, most

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
        f":question: *{text.name(question.text, 2 * reader.most)}*",
        f"{number} {text.name(operation.line, reader.most)}, asked by {who}",
        *(text.escape(line, reader.most) for line in text.fold(question.about, 5)),
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
        subject = text.name(live.subject or live.ref, reader.most)
        lines = [f"{head}  ·  `{text.name(live.commit[:7])}` {subject}"]
        since = env.operation.finished if env.operation else None
        who, ref = text.name(live.person, 40), text.name(live.ref, min(80, reader.most))
        at = text.date(since or live.at, "{date_short_pretty} {time}")
        lines.append(f"release {live.number} of {ref}, by {who}, since {at}")
    if env.running:
        lines.append(f":arrows_counterclockwise: {_said(env.running, reader)}")
    elif env.health == "ill":
        lines.append(f":x: {text.name(env.said, 2 * reader.most)}")
    if env.queue:
        lines.append(f":hourglass_flowing_sand: waits: {_said(env.queue[0], reader)}")
        if env.queue[1:]:
            lines.append(f"and {words.count(len(env.queue) - 1, 'operation')} after it")
    if env.lock:
        lines.append(f":lock: {text.name(words.lock_line(env.lock, board.at), 50 + reader.most)}")
    if env.freeze:
        until = text.date(env.freeze.until, "{date_short_pretty} {time}")
        why = text.name(env.freeze.reason, reader.most)
        lines.append(f":snowflake: frozen until {until} by {text.name(env.freeze.by, 40)}: {why}")
    elif env.freezes:
        at = text.date(env.freezes.since, "{date_short_pretty} {time}")
        lines.append(f":snowflake: freezes {at}: {text.name(env.freezes.reason, reader.most)}")
    for coming in env.coming[:2]:
        at = text.date(coming.at, "{date_short_pretty} {time}") if coming.at else "no clock runs"
        lines.append(f":clock3: {text.name(coming.say, min(100, reader.most))}: {at}")
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


def _recent(board: Board, reader: _Reader) -> list[Block]:
    if not board.recent:
        return [blocks.section("nothing was asked yet; `/packlead help` says what can be")]
    rows = []
    for o in board.recent[:RECENT]:
        took = ""
        if o.started and o.finished:
            took = f", {words.duration(max(0.0, o.finished - o.started))}"
        sign = SIGNS.get(o.state, SIGNS["waiting"])
        at = text.date(o.created, "{date_short_pretty} {time}")
        rows.append(f"{sign} {_said(o, reader)}{took}, {at}")
    return [blocks.section(page) for page in text.pages(rows, most=4)]


def _said(operation: Operation, reader: _Reader) -> str:
    line, person = text.name(operation.line, reader.most), text.name(operation.person, 40)
    return f"#{operation.number} {line}, {person}"


def _header(said: str) -> Block:
    return {"type": "header", "text": {"type": "plain_text", "text": text.plain(said, 150)}}


def _more(count: int, noun: str) -> list[Block]:
    return [blocks.small([f"and {words.count(count, noun)} more"])] if count > 0 else []
