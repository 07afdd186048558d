"""What the lab's Slack remembers: messages, deliveries, calls, and what it refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


class SlackError(Exception):
    """An answer `{"ok": false, "error": …}`; `more` goes into the answer beside it."""

    def __init__(self, error: str, **more: Any) -> None:
        super().__init__(error)
        self.error = error
        self.more = more


@dataclass(frozen=True)
class Button:
    """Something in a message or view that can be pressed, as a person sees it."""

    action_id: str
    block_id: str
    label: str
    value: str = ""
    style: str = ""
    url: str = ""
    confirm: Json | None = None
    type: str = "button"


@dataclass(frozen=True)
class Edit:
    """How a message looked before it was edited."""

    text: str
    blocks: tuple[Json, ...]
    at: float


@dataclass
class Message:
    """A message as it stands now. Replies are on their root; ephemerals name who sees them."""

    channel: str
    ts: str
    user: str
    text: str = ""
    blocks: list[Json] = field(default_factory=list)
    thread_ts: str = ""
    bot_id: str = ""
    subtype: str = ""
    broadcast: bool = False
    only_for: str = ""
    via: str = "api"  # api, ack, response_url, person, slackbot
    metadata: Json | None = None
    attachments: list[Json] = field(default_factory=list)
    files: list[Json] = field(default_factory=list)
    reactions: dict[str, list[str]] = field(default_factory=dict)
    replies: list[Message] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    edited_at: float | None = None

    @property
    def wording(self) -> str:
        """Everything that a person reads in it: its blocks if it has any, else its text."""
        return "\n".join(words_of(self.blocks)) if self.blocks else self.text

    @property
    def buttons(self) -> list[Button]:
        return list(buttons_of(self.blocks))

    def button(self, action_id: str) -> Button:
        return next(button for button in self.buttons if button.action_id == action_id)

    def as_slack(self) -> Json:
        """The message as Slack puts it into answers and payloads."""
        body: Json = {"type": "message", "ts": self.ts, "text": self.text, "user": self.user}
        optional = {
            "subtype": self.subtype,
            "bot_id": self.bot_id,
            "thread_ts": self.thread_ts,
            "blocks": self.blocks,
            "attachments": self.attachments,
            "files": self.files,
            "metadata": self.metadata,
        }
        body |= {key: value for key, value in optional.items() if value}
        if self.replies:
            body |= {"thread_ts": self.ts, "reply_count": len(self.replies)}
        if self.edited_at is not None and not self.blocks:
            body["edited"] = {"user": self.user, "ts": f"{self.edited_at:.6f}"}
        if self.reactions:
            body["reactions"] = [
                {"name": name, "users": users, "count": len(users)}
                for name, users in self.reactions.items()
            ]
        return body


@dataclass
class Delivery:
    """One payload on its way to the app: whether, when and with what it was acknowledged."""

    kind: str  # slash_commands, interactive, events_api
    payload: Json
    user: str = ""
    channel: str = ""
    trigger_id: str = ""
    response_url: str = ""
    envelope_id: str = ""
    via: str = ""  # socket, http, "" where nobody listened
    acked: bool = False
    seconds: float = 0.0  # until the ack, or until the deadline
    answer: Json | None = None
    error: str = ""  # what the person was told: operation_timeout, dispatch_failed
    status: int = 0  # HTTP only
    attempts: int = 1
    no_retry: bool = False  # the app asked for none by header
    late: float | None = None  # an ack that came after the deadline, in seconds
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Call:
    """One call of the Web API (or of a response_url), and how it was answered."""

    method: str
    args: Json
    at: float
    answer: Json | None = None  # None: the answer was dropped, or was no JSON
    status: int = 200
    fault: str = ""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return bool(self.answer and self.answer.get("ok"))

    @property
    def error(self) -> str:
        return str((self.answer or {}).get("error", ""))


@dataclass(frozen=True)
class Refusal:
    """Something that Slack would not have taken, or only with a shake of the head."""

    where: str  # method, `ack of …`, `response_url`
    error: str
    why: tuple[str, ...]
    payload: Json


@dataclass(frozen=True)
class Mention:
    """A `<!channel>`, `<!here>` or `<!everyone>` in what the app sent."""

    where: str
    channel: str
    what: str
    text: str


def words_of(node: Any) -> Iterator[str]:
    """Every piece of text in blocks, in reading order; inline rich text stays on one line."""
    if isinstance(node, list):
        for item in node:
            yield from words_of(item)
    elif isinstance(node, dict):
        if node.get("type") in ("rich_text_section", "rich_text_preformatted", "rich_text_quote"):
            yield "".join(inline(item) for item in node.get("elements", []))
            return
        for key in ("title", "subtitle", "text", "label", "description", "body", "hint"):
            value = node.get(key)
            if isinstance(value, str):
                yield value
            else:
                yield from words_of(value)
        for key in ("fields", "tasks", "elements", "element", "accessory", "options"):
            yield from words_of(node.get(key))
        for key in ("details", "output", "rows", "actions", "child_blocks"):
            yield from words_of(node.get(key))


def inline(item: Json) -> str:
    """One inline element of rich text as plain words."""
    kind = item.get("type")
    if kind == "user":
        return f"<@{item.get('user_id', '')}>"
    if kind == "usergroup":
        return f"<!subteam^{item.get('usergroup_id', '')}>"
    if kind == "channel":
        return f"<#{item.get('channel_id', '')}>"
    if kind == "emoji":
        return f":{item.get('name', '')}:"
    if kind == "broadcast":
        return f"<!{item.get('range', '')}>"
    if kind == "date":
        return str(item.get("fallback") or item.get("timestamp", ""))
    return str(item.get("text") or item.get("url") or "")


INTERACTIVE = (
    "button",
    "overflow",
    "checkboxes",
    "radio_buttons",
    "datepicker",
    "timepicker",
    "datetimepicker",
    "plain_text_input",
)


def buttons_of(blocks: list[Json]) -> Iterator[Button]:
    """Everything that can be pressed or chosen outside of inputs."""
    for block in blocks:
        for element in elements_of(block):
            kind = str(element.get("type", ""))
            if kind in INTERACTIVE or kind.endswith("_select"):
                text = element.get("text") or element.get("placeholder") or {}
                yield Button(
                    action_id=str(element.get("action_id", "")),
                    block_id=str(block.get("block_id", "")),
                    label=str(text.get("text", "")),
                    value=str(element.get("value", "")),
                    style=str(element.get("style", "")),
                    url=str(element.get("url", "")),
                    confirm=element.get("confirm"),
                    type=kind,
                )


def elements_of(block: Json) -> Iterator[Json]:
    kind = block.get("type")
    if kind in ("actions", "context_actions"):
        yield from block.get("elements", [])
    elif kind == "section" and isinstance(block.get("accessory"), dict):
        yield block["accessory"]
    elif kind == "card":
        yield from block.get("actions", [])
    elif kind in ("carousel", "container"):
        for inner in block.get("elements", []) + block.get("child_blocks", []):
            yield from elements_of(inner)
    elif kind == "input" and block.get("dispatch_action"):
        yield block.get("element", {})
