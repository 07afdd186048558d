"""What Slack would say to a message, a modal, a home tab or a manifest: a list of mistakes."""

from __future__ import annotations

from tests.lab.slack import limits
from tests.lab.slack.blocks import block
from tests.lab.slack.elements import optional_plain, plain
from tests.lab.slack.manifest import validate_manifest
from tests.lab.slack.records import Json
from tests.lab.slack.spots import Spot

__all__ = ["validate_home", "validate_manifest", "validate_message", "validate_modal"]

VIEW_KEYS = ("blocks", "private_metadata", "callback_id", "external_id")
MODAL_KEYS = ("close", "submit", "clear_on_close", "notify_on_close", "submit_disabled")


def validate_message(message: Json) -> list[str]:
    """Mistakes of a whole message, with what Slack only dislikes: blocks and no `text`."""
    found = message_mistakes(message.get("blocks") or [])
    text = message.get("text")
    if not isinstance(text, str) or not text.strip():
        found.append("missing text: it is what notifications and screen readers say [/text]")
    elif len(text) > limits.UPDATE_TEXT:
        most = limits.UPDATE_TEXT
        found.append(f"text is over {most} characters: too long for chat.update [/text]")
    return found


def validate_modal(view: Json) -> list[str]:
    return modal_mistakes(view)


def validate_home(view: Json) -> list[str]:
    return home_mistakes(view)


def message_mistakes(blocks: list[Json]) -> list[str]:
    found: list[str] = []
    _blocks(Spot(blocks, "/blocks", found), "message", limits.MESSAGE_BLOCKS, least=0)
    kinds = [item.get("type") for item in blocks if isinstance(item, dict)]
    if "plan" in kinds and "task_card" in kinds:
        found.append("plan and task_card are mutually exclusive [json-pointer:/blocks]")
    markdown = [
        str(item.get("text", ""))
        for item in blocks
        if isinstance(item, dict) and item.get("type") == "markdown"
    ]
    if sum(map(len, markdown)) > limits.MARKDOWN:
        found.append(f"markdown must be less than {limits.MARKDOWN + 1} characters [/blocks]")
    return found


def modal_mistakes(view: Json) -> list[str]:
    found: list[str] = []
    spot = Spot(view, "/view", found)
    spot.at("type").one_of(("modal",))
    if spot.fields(("title", "blocks"), (*VIEW_KEYS, *MODAL_KEYS)):
        plain(spot.at("title"), limits.MODAL_TITLE)
    optional_plain(spot, "submit", limits.MODAL_TITLE)
    optional_plain(spot, "close", limits.MODAL_TITLE)
    spot.boolean("clear_on_close", "notify_on_close", "submit_disabled")
    _common(spot, "modal")
    blocks = view.get("blocks")
    inputs = isinstance(blocks, list) and any(
        isinstance(item, dict) and item.get("type") == "input" for item in blocks
    )
    if inputs and not view.get("submit"):
        spot.say("submit is required when an input block is within blocks")
    return found


def home_mistakes(view: Json) -> list[str]:
    found: list[str] = []
    spot = Spot(view, "/view", found)
    spot.at("type").one_of(("home",))
    spot.fields(("blocks",), VIEW_KEYS)
    _common(spot, "home")
    return found


def _common(spot: Spot, surface: str) -> None:
    spot.optional_string("private_metadata", limits.METADATA, least=0)
    spot.optional_string("callback_id", limits.ID, least=0)
    spot.optional_string("external_id", limits.ID, least=0)
    if spot.has("blocks"):
        least = 1 if surface == "modal" else 0
        _blocks(spot.at("blocks"), surface, limits.VIEW_BLOCKS, least)


def _blocks(spot: Spot, surface: str, most: int, least: int) -> None:
    if not spot.array(most, least):
        return
    for item in spot.items():
        block(item, surface)
    ids = [item.get("block_id") for item in spot.value if isinstance(item, dict)]
    named = [name for name in ids if name]
    for name in sorted({str(name) for name in named if named.count(name) > 1}):
        spot.say(f"block_id {name} already exists")
