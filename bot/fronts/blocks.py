"""The few blocks of Block Kit that we use, each within Slack's limits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bot.fronts import slack_text as text

Block = dict[str, Any]

BLOCKS = 50
WHOLE = 9_000  # characters in all blocks of a message; Slack was seen to refuse 11,341


def section(escaped: str) -> Block:
    return {"type": "section", "text": mrkdwn(escaped)}


def small(escaped: list[str]) -> Block:
    return {"type": "context", "elements": [mrkdwn(part) for part in escaped]}


def mrkdwn(escaped: str) -> Block:
    # verbatim: Slack makes no links and mentions of its own of what stands there
    return {"type": "mrkdwn", "text": text.cut(escaped, 3000) or "…", "verbatim": True}


def rich(literal: str) -> Block:
    inside = [{"type": "text", "text": text.plain(literal, text.SECTION)}]
    return {
        "type": "rich_text",
        "elements": [{"type": "rich_text_preformatted", "elements": inside}],
    }


def within(blocks: list[Block]) -> list[Block]:
    """Return as many of the blocks as Slack takes in one message; the last always stays."""
    kept: list[Block] = []
    room = WHOLE - (length(blocks[-1]) if blocks else 0)
    for block in blocks[:-1]:
        size = length(block)
        if size <= room and len(kept) < BLOCKS - 1:
            kept.append(block)
            room -= size
    return [*kept, *blocks[-1:]]


def length(node: Any) -> int:
    if isinstance(node, list):
        return sum(map(length, node))
    if isinstance(node, dict):
        return sum(len(v) if isinstance(v, str) else length(v) for v in node.values())
    return 0


def escaped_pages(lines: Iterable[str], most: int) -> list[str]:
    return text.pages([text.escape(line, 1000) for line in lines], most=most)


def button(
    action: str, label: str, line: str, style: str = "", confirm: Block | None = None
) -> Block:
    made: Block = {
        "type": "button",
        "action_id": action,
        "text": {"type": "plain_text", "text": text.plain(label, 75)},
        "value": text.cut(line, 2000),
    }
    if style:
        made["style"] = style
    return made | ({"confirm": confirm} if confirm else {})


def confirm(title: str, said: str, yes: str, no: str) -> Block:
    def plain(part: str, most: int) -> Block:
        return {"type": "plain_text", "text": text.plain(part, most)}

    return {
        "title": plain(title, 100),
        "text": plain(said, 300),
        "confirm": plain(yes, 30),
        "deny": plain(no, 30),
    }
