"""A channel as a person would read it, in plain words, for tests that fail."""

from __future__ import annotations

from tests.lab.slack.records import Delivery, Message, Refusal
from tests.lab.slack.workspace import Workspace

MARKS = {"complete": "[x]", "in_progress": "[>]", "error": "[!]", "pending": "[ ]"}


def transcript(workspace: Workspace, channel: str = "") -> str:
    """One channel with its threads, or all that have something in them, and what was refused."""
    with workspace.lock:
        used = [room for room in workspace.channels if _used(workspace, room)]
        rooms = [channel] if channel else used
        lines: list[str] = []
        for room in rooms:
            lines += _room(workspace, room)
        if not channel:
            lines += [_refusal(refusal) for refusal in workspace.refused]
            lines += [_missed(one) for one in workspace.deliveries if not one.acked]
        return "\n".join(lines) or "nothing was said anywhere"


def _used(workspace: Workspace, room: str) -> bool:
    return bool(workspace.rooms.get(room)) or any(one.channel == room for one in workspace.private)


def _room(workspace: Workspace, room: str) -> list[str]:
    known = workspace.channels.get(room)
    name = f"#{known.name}" if known and known.name else f"direct message {room}"
    private = [one for one in workspace.private if one.channel == room]
    shown = workspace.rooms.get(room, []) + private
    lines = [f"== {name} =="]
    for message in sorted(shown, key=lambda one: one.ts):
        lines += _message(workspace, message, "")
        for reply in message.replies:
            lines += _message(workspace, reply, "    | ")
    return lines if len(lines) > 1 else [*lines, "(nothing)"]


def _message(workspace: Workspace, message: Message, indent: str) -> list[str]:
    user = workspace.users.get(message.user)
    head = user.name if user else message.user
    if message.only_for:
        head += f" (only to {workspace.users[message.only_for].name})"
    if message.edits:
        head += f" (edited {len(message.edits)} times)"
    body = _words(message).splitlines() or ["(empty)"]
    lines = [f"{indent}{head}: {body[0]}", *(f"{indent}    {line}" for line in body[1:])]
    labels = [f"[{button.label}]" for button in message.buttons]
    if labels:
        lines.append(f"{indent}    {' '.join(labels)}")
    return lines


def _words(message: Message) -> str:
    """The wording, with the tasks of plans marked by their state and without button labels."""
    lines: list[str] = []
    labels = {button.label for button in message.buttons}
    for block in message.blocks:
        for task in block.get("tasks", []) if block.get("type") == "plan" else []:
            lines.append(f"{MARKS.get(task.get('status', ''), '[ ]')} {task.get('title', '')}")
    told = {line[4:] for line in lines}
    words = [line for line in message.wording.splitlines() if line not in labels | told]
    return "\n".join(words[:1] + lines + words[1:])


def _refusal(refusal: Refusal) -> str:
    return f"refused {refusal.where}: {refusal.error}: {'; '.join(refusal.why)}"


def _missed(delivery: Delivery) -> str:
    what = delivery.payload.get("command") or delivery.payload.get("type")
    return f"not acked: {what} by {delivery.user} ({delivery.error}, {delivery.seconds:.2f} s)"
