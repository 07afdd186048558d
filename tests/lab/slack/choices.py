"""What a person chooses or types, as Slack's client would allow it and as Slack sends it."""

from __future__ import annotations

from typing import Any

from tests.lab.slack.records import Json

FIELDS = {
    "datepicker": "selected_date",
    "timepicker": "selected_time",
    "datetimepicker": "selected_date_time",
    "users_select": "selected_user",
    "channels_select": "selected_channel",
    "conversations_select": "selected_conversation",
    "multi_users_select": "selected_users",
    "multi_channels_select": "selected_channels",
    "multi_conversations_select": "selected_conversations",
}
ONE = ("static_select", "external_select", "radio_buttons", "overflow")
MANY = ("multi_static_select", "multi_external_select", "checkboxes")


def chosen(block: Json, element: Json, value: Any, ts: str) -> Json:
    """The `action` of a block_actions payload."""
    action: Json = {
        "type": element["type"],
        "action_id": element.get("action_id", ""),
        "block_id": block.get("block_id", ""),
        "action_ts": ts,
    }
    if element["type"] == "button":
        action["text"] = element["text"]
        action |= {key: element[key] for key in ("value", "style", "url") if key in element}
        return action
    return action | _answer(element, value)


def state_values(blocks: list[Json], values: Json) -> Json:
    """`state.values` of a submitted form.

    `values` is {block_id: {action_id: value}}, or shorter {action_id: value} or {block_id: value}.
    """
    used: set[str] = set()
    state: Json = {}
    for block in blocks:
        element = block.get("element")
        if block.get("type") != "input" or not isinstance(element, dict):
            continue
        value = _given(block, element, values, used)
        if value is None:
            value = _initial(element)
        if value in (None, "", []) and not block.get("optional"):
            raise ValueError(f"{_name(block)}: it must be filled in")
        answer = _answer(element, value, _name(block))
        state.setdefault(block["block_id"], {})[element["action_id"]] = {
            "type": element["type"]
        } | answer
    unknown = sorted(set(values) - used)
    if unknown:
        raise LookupError(f"no such field in the form: {', '.join(unknown)}")
    return state


def _given(block: Json, element: Json, values: Json, used: set[str]) -> Any:
    for key in (block["block_id"], element["action_id"]):
        if key in values:
            used.add(key)
            value = values[key]
            return value.get(element["action_id"]) if isinstance(value, dict) else value
    return None


def _answer(element: Json, value: Any, where: str = "") -> Json:
    kind = element["type"]
    if kind in ONE:
        return {"selected_option": None if value is None else _option(element, value, where)}
    if kind in MANY:
        picked = value if isinstance(value, list) else [] if value is None else [value]
        return {"selected_options": [_option(element, one, where) for one in picked]}
    if kind in FIELDS:
        return {FIELDS[kind]: value}
    if kind == "plain_text_input" and isinstance(value, str):
        most, least = element.get("max_length", 3000), element.get("min_length", 0)
        if not least <= len(value) <= most:
            raise ValueError(f"{where}: {least} to {most} characters, not {len(value)}")
    return {"value": None if value in (None, "") else value}


def _option(element: Json, value: Any, where: str) -> Json:
    wanted = value["value"] if isinstance(value, dict) else value
    groups = element.get("option_groups") or []
    known = list(element.get("options") or [])
    known += [option for group in groups for option in group["options"]]
    for option in known:
        if option["value"] == wanted:
            return dict(option)
    there = ", ".join(str(option["value"]) for option in known)
    raise ValueError(f"{where or element.get('action_id')}: no option {wanted!r}, only {there}")


def _initial(element: Json) -> Any:
    for key, value in element.items():
        if key.startswith("initial_"):
            return value
    return None


def _name(block: Json) -> str:
    return str(block.get("label", {}).get("text", block.get("block_id")))
