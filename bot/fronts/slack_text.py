"""Text on its way to and from Slack: what people typed, and what must stay inert in a message."""

from __future__ import annotations

import re
from collections.abc import Iterable

SECTION = 2900  # Slack takes 3,000 in a text object
TEXT = 3500  # chat.update takes 4,000 in `text`
LIST = 15

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_BIDI = re.compile("[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_LINKED = re.compile(r"<(@|#|!subteam\^|[a-z][a-z0-9+.-]*:(?://)?)([^<>|]*)(?:\|([^<>]*))?>")


def typed(text: str) -> str:
    """Return what somebody typed, before Slack made links, mentions and entities of it."""
    text = _LINKED.sub(_unlinked, text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").strip()


def clean(text: str) -> str:
    """Take away what moves cursors, colours or turns round text, but keep lines and tabs."""
    text = _ANSI.sub("", text.replace("\r\n", "\n"))
    return _BIDI.sub("", _CONTROL.sub("", text.replace("\r", "\n")))


def escape(text: str, most: int = SECTION) -> str:
    """Make a text inert in mrkdwn: no mention or link of its own; and no longer than told."""
    return _bounded((_ENTITIES.get(c, c) for c in clean(text)), most)


def name(text: str, most: int = 200) -> str:
    """Make a text inert on one line that has markup of ours around it."""
    return escape(re.sub(r"[\s`*~]+", " ", clean(text)).strip(), most)


def plain(text: str, most: int) -> str:
    """Return a text for plain_text and rich_text, which know no markup; it is never empty."""
    return cut(clean(text), most) or "…"


def cut(text: str, most: int) -> str:
    """Return the beginning of a text, with an ellipsis where something is missing."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def cut_front(text: str, most: int) -> str:
    """Return the end of a text: of an output the last lines say what went wrong."""
    return text if len(text) <= most else f"…{text[len(text) - most + 1 :]}"


def code(text: str, most: int = SECTION) -> str:
    """Return a fenced block; no fence inside it can end it."""
    inside = escape(cut_front(clean(text), most - 100), most - 100)
    inside = inside.replace("```", "`\u200b``") or " "
    return f"```\n{inside}\n```"


def fold(lines: Iterable[str], most: int = LIST) -> list[str]:
    """Return the first lines, and how many more there are."""
    lines = list(lines)
    if len(lines) <= most + 1:
        return lines
    return [*lines[:most], f"and {len(lines) - most} more"]


def pages(lines: Iterable[str], size: int = SECTION, most: int = 10) -> list[str]:
    """Join lines into texts no longer than a section; what does not fit is counted."""
    texts: list[str] = [""]
    lines = [cut(line, size) for line in lines]
    for place, line in enumerate(lines):
        if len(texts[-1]) + len(line) + 1 <= size:
            texts[-1] = f"{texts[-1]}\n{line}" if texts[-1] else line
        elif len(texts) < most:
            texts.append(line)
        else:
            more = f"\n… and {len(lines) - place} more lines"
            texts[-1] = cut(texts[-1], size - len(more)) + more
            break
    return [text for text in texts if text.strip()]


def date(at: float, form: str = "{time}") -> str:
    """Return a time that every reader sees in their own zone."""
    fallback = _utc(at)
    return f"<!date^{int(at)}^{form}|{fallback}>"


def person(user: str, fallback: str) -> str:
    """Return a mention of a Slack user, or a name where there is no id."""
    return f"<@{user}>" if re.fullmatch(r"[UW][A-Z0-9]{1,20}", user) else name(fallback, 80)


def channel(id: str) -> str:
    return f"<#{id}>" if re.fullmatch(r"[CGD][A-Z0-9]{1,20}", id) else ""


def _utc(at: float) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"


def _unlinked(match: re.Match[str]) -> str:
    kind, target, label = match.groups()
    if kind == "#":
        return f"#{label or target}"
    if kind in ("@", "!subteam^"):
        return f"@{target}"  # by id: a display name is nobody
    return str(label or (target if kind in ("mailto:", "tel:") else kind + target))


def _bounded(pieces: Iterable[str], most: int) -> str:
    kept: list[str] = []
    length = 0
    for piece in pieces:
        if length + len(piece) > most:
            while kept and length > most - 1:
                length -= len(kept.pop())
            return "".join([*kept, "…"])
        kept.append(piece)
        length += len(piece)
    return "".join(kept)
