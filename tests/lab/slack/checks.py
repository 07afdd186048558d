"""What every message from the app goes through before it is shown, by whatever way it came."""

from __future__ import annotations

import re
from typing import Any

from tests.lab.slack import limits
from tests.lab.slack.records import Json, Mention, Refusal, SlackError
from tests.lab.slack.validate import home_mistakes, message_mistakes, modal_mistakes
from tests.lab.slack.workspace import Workspace

LOUD = re.compile(r"<!(channel|here|everyone)(?:\|[^>]*)?>")


def check_message(workspace: Workspace, where: str, args: Json, *, editing: bool = False) -> None:
    """Raise what Slack would answer to these texts and blocks; note what it would only dislike."""
    blocks, text = args.get("blocks"), args.get("text")
    if blocks is not None and not _is_list_of_objects(blocks):
        raise SlackError("invalid_blocks_format")
    if text is not None and not isinstance(text, str):
        raise SlackError("invalid_arguments")
    if not blocks and not text and not args.get("attachments") and not args.get("files"):
        raise SlackError("no_text")
    if editing and len(text or "") > limits.UPDATE_TEXT:
        raise SlackError("msg_too_long")
    if len(args.get("attachments") or []) > limits.ATTACHMENTS:
        raise SlackError("too_many_attachments")
    mistakes = message_mistakes(blocks or [])
    if mistakes:
        raise invalid("invalid_blocks", mistakes)
    if _length(blocks) > limits.BLOCKS_TEXT:
        raise SlackError("msg_blocks_too_long")
    if not (text or "").strip():
        _warn(workspace, where, "missing_text", "blocks, and no `text` to read out", args)
    if len(text or "") > limits.POST_TEXT:
        _warn(workspace, where, "message_truncated", f"text is over {limits.POST_TEXT}", args)
        args["text"] = (text or "")[: limits.POST_TEXT]
    look_for_mentions(workspace, where, str(args.get("channel", "")), args)


def check_view(workspace: Workspace, where: str, view: Any) -> None:
    if not isinstance(view, dict):
        raise SlackError("invalid_arguments")
    mistakes = home_mistakes(view) if view.get("type") == "home" else modal_mistakes(view)
    if mistakes:
        raise invalid("invalid_arguments", mistakes)
    look_for_mentions(workspace, where, "", {"blocks": view.get("blocks")})


def invalid(error: str, mistakes: list[str]) -> SlackError:
    return SlackError(
        error,
        errors=mistakes,
        response_metadata={"messages": [f"[ERROR] {mistake}" for mistake in mistakes]},
    )


def refuse(workspace: Workspace, where: str, error: SlackError, payload: Json) -> Json:
    """The answer to something refused; it is remembered."""
    why = tuple(error.more.get("errors", ())) or (error.error,)
    workspace.note(workspace.refused, Refusal(where, error.error, why, payload))
    return {"ok": False, "error": error.error} | error.more


def look_for_mentions(workspace: Workspace, where: str, channel: str, args: Json) -> None:
    """`<!channel>` and its like, anywhere in mrkdwn or text, and broadcast elements."""
    for text in _markup(args.get("text"), args.get("blocks"), args.get("attachments")):
        for found in LOUD.finditer(text):
            with workspace.lock:
                workspace.mentions.append(Mention(where, channel, found[1], text))


def _markup(text: Any, *trees: Any) -> list[str]:
    found = [text] if isinstance(text, str) else []
    for tree in trees:
        _walk(tree, found)
    return found


def _walk(node: Any, found: list[str]) -> None:
    if isinstance(node, list):
        for item in node:
            _walk(item, found)
    elif isinstance(node, dict):
        kind = node.get("type")
        if kind in ("mrkdwn", "markdown") and isinstance(node.get("text"), str):
            found.append(node["text"])
        elif kind == "broadcast":
            found.append(f"<!{node.get('range')}>")
        for key, value in node.items():
            if isinstance(value, (list, dict)):
                _walk(value, found)
            elif key in ("pretext", "fallback") and isinstance(value, str) and kind is None:
                found.append(value)


def _length(node: Any) -> int:
    if isinstance(node, list):
        return sum(_length(item) for item in node)
    if isinstance(node, dict):
        own = sum(len(node[key]) for key in ("text", "title") if isinstance(node.get(key), str))
        return own + sum(_length(value) for value in node.values() if not isinstance(value, str))
    return 0


def _is_list_of_objects(blocks: Any) -> bool:
    return isinstance(blocks, list) and all(isinstance(block, dict) for block in blocks)


def _warn(workspace: Workspace, where: str, error: str, why: str, args: Json) -> None:
    workspace.note(workspace.warnings, Refusal(where, error, (why,), args))
