"""Rich text: sections, lists, quotes and preformatted pieces, and their inline elements."""

from __future__ import annotations

from tests.lab.slack.spots import Spot

STYLES = ("bold", "italic", "strike", "code", "underline", "highlight", "client_highlight")
INLINE: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "text": (("text",), ("style",)),
    "link": (("url",), ("text", "style", "unsafe")),
    "user": (("user_id",), ("style",)),
    "usergroup": (("usergroup_id",), ("style",)),
    "channel": (("channel_id",), ("style",)),
    "team": (("team_id",), ("style",)),
    "emoji": (("name",), ("unicode", "style", "skin_tone", "url")),
    "date": (("timestamp", "format"), ("url", "fallback", "style")),
    "broadcast": (("range",), ("style",)),
    "color": (("value",), ("style",)),
}
PARTS = ("rich_text_section", "rich_text_list", "rich_text_preformatted", "rich_text_quote")


def rich_text(spot: Spot) -> None:
    """A rich_text block; also the details and output of a task."""
    if not spot.is_object():
        return
    if spot.value.get("type") != "rich_text":
        spot.say(f"unsupported type: {spot.value.get('type')}")
        return
    spot.fields(("elements",), ("block_id",))
    if not spot.at("elements").array():
        return
    for part in spot.at("elements").items():
        _part(part, PARTS)


def _part(spot: Spot, allowed: tuple[str, ...]) -> None:
    if not spot.is_object():
        return
    kind = spot.value.get("type")
    if kind not in allowed:
        spot.say(f"unsupported type: {kind}")
        return
    if kind == "rich_text_list":
        spot.fields(("style", "elements"), ("indent", "offset", "border"))
        spot.at("style").one_of(("bullet", "ordered"))
        spot.whole("indent", 0, 8)
        if spot.at("elements").array():
            for item in spot.at("elements").items():
                _part(item, ("rich_text_section",))
        return
    optional: tuple[str, ...] = () if kind == "rich_text_section" else ("border",)
    if kind == "rich_text_preformatted":
        optional = ("border", "language")
    if spot.fields(("elements",), optional) and spot.at("elements").array(least=0):
        for item in spot.at("elements").items():
            _inline(item, preformatted=kind == "rich_text_preformatted")


def _inline(spot: Spot, preformatted: bool) -> None:
    if not spot.is_object():
        return
    kind = spot.value.get("type")
    if kind not in INLINE or (preformatted and kind not in ("text", "link")):
        spot.say(f"unsupported type: {kind}")
        return
    required, optional = INLINE[kind]
    if not spot.fields(required, optional):
        return
    for key in required:
        if key == "timestamp":
            if not isinstance(spot.value[key], int):
                spot.at(key).say("must be an integer")
        else:
            spot.at(key).string()
    if kind == "broadcast":
        spot.at("range").one_of(("here", "channel", "everyone"))
    if spot.has("style") and spot.at("style").fields((), STYLES):
        spot.at("style").boolean(*STYLES)
