"""The blocks, one rule each, and on which surface each may stand."""

from __future__ import annotations

from collections.abc import Callable

from tests.lab.slack import elements, limits
from tests.lab.slack.elements import element, optional_plain, plain, text
from tests.lab.slack.rich_text import rich_text
from tests.lab.slack.spots import Spot

EVERYWHERE = {
    "actions", "context", "divider", "header", "image", "input", "rich_text", "section", "video",
}  # fmt: skip
ON = {
    "message": EVERYWHERE
    | {"markdown", "table", "plan", "task_card", "context_actions", "card", "carousel"}
    | {"container", "data_table", "file"},
    "modal": EVERYWHERE | {"alert", "file"},
    "home": EVERYWHERE,
}
DATA_TABLE = ("block_id", "caption", "page_size", "row_header_column_index")
STATUSES = ("pending", "in_progress", "complete", "error")


def block(spot: Spot, surface: str) -> None:
    if not spot.is_object():
        return
    kind = spot.value.get("type")
    if kind not in ON[surface]:
        spot.say(f"unsupported type: {kind}")
        return
    spot.optional_string("block_id", limits.ID)
    _RULES[kind](spot)


def _section(spot: Spot) -> None:
    spot.fields((), ("block_id", "text", "fields", "accessory", "expand"))
    if not spot.has("text") and not spot.has("fields"):
        spot.say("must define either text or fields")
    if spot.has("text"):
        text(spot.at("text"), limits.TEXT)
    if spot.has("fields") and spot.at("fields").array(limits.FIELDS):
        for field in spot.at("fields").items():
            text(field, limits.FIELD_TEXT)
    if spot.has("accessory"):
        element(spot.at("accessory"), elements.IN_SECTION)


def _divider(spot: Spot) -> None:
    spot.fields((), ("block_id",))


def _header(spot: Spot) -> None:
    if spot.fields(("text",), ("block_id", "level")):
        plain(spot.at("text"), limits.HEADER)


def _image(spot: Spot) -> None:
    spot.fields(("alt_text",), ("block_id", "image_url", "slack_file", "title"))
    if spot.has("image_url") == spot.has("slack_file"):
        spot.say("must define exactly one of image_url and slack_file")
    spot.web_address("image_url", limits.URL)
    spot.optional_string("alt_text", limits.ALT_TEXT)
    optional_plain(spot, "title", limits.ALT_TEXT)


def _actions(spot: Spot) -> None:
    if spot.fields(("elements",), ("block_id",)) and spot.at("elements").array(limits.ACTIONS):
        for item in spot.at("elements").items():
            element(item, elements.IN_ACTIONS)
        _unique_actions(spot)


def _context_actions(spot: Spot) -> None:
    inner = spot.at("elements")
    if spot.fields(("elements",), ("block_id",)) and inner.array(limits.CONTEXT_ACTIONS):
        for item in inner.items():
            element(item, elements.IN_CONTEXT_ACTIONS)
        _unique_actions(spot)


def _context(spot: Spot) -> None:
    if spot.fields(("elements",), ("block_id",)) and spot.at("elements").array(limits.CONTEXT):
        for item in spot.at("elements").items():
            if isinstance(item.value, dict) and item.value.get("type") == "image":
                elements.image(item)
            else:
                text(item, limits.TEXT)


def _input(spot: Spot) -> None:
    optional = ("block_id", "hint", "optional", "dispatch_action")
    if spot.fields(("label", "element"), optional):
        plain(spot.at("label"), limits.INPUT_LABEL)
        element(spot.at("element"), elements.IN_INPUT)
    optional_plain(spot, "hint", limits.INPUT_LABEL)
    spot.boolean("optional", "dispatch_action")


def _markdown(spot: Spot) -> None:
    if spot.fields(("text",), ("block_id",)):
        spot.at("text").string(limits.MARKDOWN)


def _video(spot: Spot) -> None:
    optional: tuple[str, ...] = ("block_id", "author_name", "description", "provider_icon_url")
    optional += ("provider_name", "title_url")
    if spot.fields(("alt_text", "title", "thumbnail_url", "video_url"), optional):
        plain(spot.at("title"), 199)
        spot.web_address("video_url")
        spot.web_address("thumbnail_url")


def _plan(spot: Spot) -> None:
    if not spot.fields(("title",), ("block_id", "tasks")):
        return
    spot.at("title").string()
    if spot.has("tasks") and spot.at("tasks").array(limits.PLAN_TASKS, least=0):
        for task in spot.at("tasks").items():
            kind = task.value.get("type", "task_card") if isinstance(task.value, dict) else None
            if kind == "task_card":
                task.optional_string("block_id", limits.ID)
                _task_card(task)
            else:
                task.say("unsupported type: only task_card stands in a plan")
        ids = [task.value.get("task_id") for task in spot.at("tasks").items() if task.is_object()]
        if len(set(map(str, ids))) < len(ids):
            spot.at("tasks").say("task_id must be unique")


def _task_card(spot: Spot) -> None:
    optional = ("block_id", "details", "output", "sources", "status")
    if spot.fields(("task_id", "title"), optional):
        spot.at("task_id").string()
        spot.at("title").string()
    if spot.has("status"):
        spot.at("status").one_of(STATUSES)
    for key in ("details", "output"):
        if spot.has(key):
            rich_text(spot.at(key))
    if spot.has("sources") and spot.at("sources").array(least=0):
        for source in spot.at("sources").items():
            if source.fields(("url", "text")):
                source.at("type").one_of(("url",))
                source.web_address("url")


def _table(spot: Spot) -> None:
    if not spot.fields(("rows",), ("block_id", "column_settings")):
        return
    if not spot.at("rows").array(limits.TABLE_ROWS):
        return
    for row in spot.at("rows").items():
        if row.array(limits.TABLE_COLUMNS):
            for cell in row.items():
                _cell(cell)
    widths = {len(row) for row in spot.value["rows"] if isinstance(row, list)}
    if len(widths) > 1:
        spot.at("rows").say("all rows must have the same number of cells")
    if spot.has("column_settings"):
        spot.at("column_settings").array(max(widths, default=0), least=0)


def _cell(spot: Spot) -> None:
    if not spot.is_object():
        return
    kind = spot.value.get("type")
    if kind == "rich_text":
        rich_text(spot)
    elif kind == "raw_text":
        if spot.fields(("text",)):
            spot.at("text").string()
    elif kind == "raw_number":
        spot.fields(("value",), ("text",))
    else:
        spot.say(f"unsupported type: {kind}")


def _alert(spot: Spot) -> None:
    if spot.fields(("text",), ("block_id", "level")):
        text(spot.at("text"), limits.ALERT)
    if spot.has("level"):
        spot.at("level").one_of(("default", "info", "warning", "error", "success"))


def _card(spot: Spot) -> None:
    keys: tuple[str, ...] = (
        "block_id",
        "hero_image",
        "icon",
        "slack_icon",
        "title",
        "subtitle",
        "body",
        "subtext",
    )
    keys += ("actions",)
    spot.fields((), keys)
    if not any(spot.has(key) for key in ("hero_image", "title", "body", "actions")):
        spot.say("must define one of hero_image, title, body and actions")
    for key in ("title", "subtitle"):
        if spot.has(key):
            text(spot.at(key), limits.CARD_TITLE)
    if spot.has("body"):
        text(spot.at("body"), limits.CARD_BODY)
    if spot.has("actions") and spot.at("actions").array(limits.CARD_ACTIONS):
        for item in spot.at("actions").items():
            element(item, ("button", "overflow"))


def _carousel(spot: Spot) -> None:
    if spot.fields(("elements",), ("block_id",)) and spot.at("elements").array(limits.CAROUSEL):
        for item in spot.at("elements").items():
            if isinstance(item.value, dict) and item.value.get("type") == "card":
                _card(item)
            else:
                item.say("unsupported type: only cards stand in a carousel")


def _container(spot: Spot) -> None:
    optional: tuple[str, ...] = (
        "block_id",
        "title",
        "rich_text_title",
        "subtitle",
        "icon",
        "width",
    )
    optional += ("accessory", "is_collapsible", "default_collapsed", "has_header_divider")
    inner = spot.at("child_blocks")
    if spot.fields(("child_blocks",), optional) and inner.array(limits.CONTAINER):
        for item in inner.items():
            block(item, "message")


def _data_table(spot: Spot) -> None:
    if spot.fields(("rows",), (*DATA_TABLE, "column_settings", "columns")):
        spot.at("rows").array(201)
        spot.whole("page_size", 1, 100)


def _file(spot: Spot) -> None:
    spot.say("unsupported type: file blocks come from Slack only")


def _unique_actions(spot: Spot) -> None:
    ids = [item.get("action_id") for item in spot.at("elements").value if isinstance(item, dict)]
    named = [name for name in ids if name]
    for name in sorted({name for name in named if named.count(name) > 1}):
        spot.say(f"`action_id` {name} already exists in this block")


_RULES: dict[str, Callable[[Spot], None]] = {
    "section": _section,
    "divider": _divider,
    "header": _header,
    "image": _image,
    "actions": _actions,
    "context_actions": _context_actions,
    "context": _context,
    "input": _input,
    "rich_text": rich_text,
    "markdown": _markdown,
    "video": _video,
    "plan": _plan,
    "task_card": _task_card,
    "table": _table,
    "alert": _alert,
    "card": _card,
    "carousel": _carousel,
    "container": _container,
    "data_table": _data_table,
    "file": _file,
}
