"""The validator refuses what Slack refuses, and takes what Slack takes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.slack import validate_home, validate_message, validate_modal

Json = dict[str, Any]


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def md(text: str) -> Json:
    return {"type": "mrkdwn", "text": text}


def section(text: str = "hello", **more: Any) -> Json:
    return {"type": "section", "text": md(text), **more}


def button(action_id: str = "go", **more: Any) -> Json:
    return {"type": "button", "action_id": action_id, "text": plain("Go"), **more}


def actions(*elements: Json, **more: Any) -> Json:
    return {"type": "actions", "elements": list(elements), **more}


def rich(*parts: Json) -> Json:
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [*parts]}]}


def words(text: str) -> Json:
    return {"type": "text", "text": text}


def task(status: str = "complete", task_id: str = "a", **more: Any) -> Json:
    return {"type": "task_card", "task_id": task_id, "title": "Build", "status": status, **more}


def plan(*tasks: Json) -> Json:
    return {"type": "plan", "title": "Deploying", "tasks": list(tasks)}


def option(value: str = "a") -> Json:
    return {"text": plain(value), "value": value}


def select(**more: Any) -> Json:
    return {"type": "static_select", "action_id": "pick", **more}


def modal(*blocks: Json, **more: Any) -> Json:
    return {"type": "modal", "title": plain("Why"), "blocks": list(blocks), **more}


def field(**element: Any) -> Json:
    inner = {"type": "plain_text_input", "action_id": "why", **element}
    return {"type": "input", "label": plain("Why"), "element": inner}


CONFIRM = {
    "title": plain("Sure?"),
    "text": md("It *stops*."),
    "confirm": plain("Yes"),
    "deny": plain("No"),
}

BAD_BLOCKS = {
    "51 blocks": [section()] * 51,
    "empty section": [section("")],
    "section without text": [{"type": "section"}],
    "long section": [section("x" * 3001)],
    "11 fields": [{"type": "section", "fields": [md("x")] * 11}],
    "long field": [{"type": "section", "fields": [md("x" * 2001)]}],
    "long header": [{"type": "header", "text": plain("x" * 151)}],
    "mrkdwn header": [{"type": "header", "text": md("x")}],
    "no actions": [actions()],
    "26 actions": [actions(*[button(f"b{n}") for n in range(26)])],
    "same action twice": [actions(button(), button())],
    "same block_id twice": [section(block_id="a"), section(block_id="a")],
    "long block_id": [section(block_id="x" * 256)],
    "long action_id": [actions(button("x" * 256))],
    "long button": [actions(button(text=plain("x" * 76)))],
    "long value": [actions(button(value="x" * 2001))],
    "bad style": [actions(button(style="green"))],
    "mrkdwn button": [actions(button(text=md("x")))],
    "button without text": [actions({"type": "button", "action_id": "a"})],
    "bad url": [actions(button(url="javascript:alert(1)"))],
    "long confirm": [actions(button(confirm=CONFIRM | {"title": plain("x" * 101)}))],
    "half a confirm": [actions(button(confirm={"title": plain("x")}))],
    "unknown key": [section(colour="red")],
    "unknown block": [{"type": "banner"}],
    "unknown text type": [{"type": "section", "text": {"type": "markdown", "text": "x"}}],
    "text as a string": [{"type": "section", "text": "x"}],
    "11 in a context": [{"type": "context", "elements": [md("x")] * 11}],
    "button in a context": [{"type": "context", "elements": [button()]}],
    "input in actions": [actions({"type": "plain_text_input", "action_id": "a"})],
    "no options": [actions(select(options=[]))],
    "101 options": [actions(select(options=[option(str(n)) for n in range(101)]))],
    "foreign initial_option": [actions(select(options=[option()], initial_option=option("b")))],
    "same option twice": [actions(select(options=[option(), option()]))],
    "6 in an overflow": [
        actions({"type": "overflow", "options": [option(str(n)) for n in range(6)]})
    ],
    "bad status": [plan(task("completed"))],
    "section in a plan": [plan(section())],
    "plan without title": [{"type": "plan", "tasks": [task()]}],
    "51 tasks": [plan(*[task(task_id=str(n)) for n in range(51)])],
    "details as a string": [plan(task(details="x"))],
    "plan and task_card": [plan(task()), task()],
    "empty rich text": [rich(words(""))],
    "mention in preformatted": [
        {
            "type": "rich_text",
            "elements": [
                {"type": "rich_text_preformatted", "elements": [{"type": "user", "user_id": "U1"}]}
            ],
        }
    ],
    "alert in a message": [{"type": "alert", "text": md("x")}],
    "101 rows": [{"type": "table", "rows": [[{"type": "raw_text", "text": "x"}]] * 101}],
    "ragged table": [
        {"type": "table", "rows": [[{"type": "raw_text", "text": "x"}] * n for n in (1, 2)]}
    ],
    "image without alt": [{"type": "image", "image_url": "https://example.org/x.png"}],
    "long markdown": [{"type": "markdown", "text": "x" * 12_001}],
}

GOOD_BLOCKS = {
    "section": [section("x" * 3000, accessory=button(confirm=CONFIRM, style="danger", value="v"))],
    "fields": [{"type": "section", "fields": [md("x"), plain("y")]}],
    "50 blocks": [section()] * 50,
    "header": [{"type": "header", "text": plain("x" * 150)}],
    "context": [{"type": "context", "elements": [md("x"), plain("y")]}, {"type": "divider"}],
    "same action in two blocks": [actions(button()), actions(button())],
    "selects": [actions(select(options=[option()], initial_option=option()), button())],
    "plan": [
        plan(
            task("complete", "a", details=rich(words("done"))),
            task("in_progress", "b", output=rich(words("rolling"))),
            task("pending", "c"),
            task("error", "d"),
        )
    ],
    "task card": [task()],
    "tasks without a type": [
        {"type": "plan", "title": "x", "tasks": [{"task_id": "a", "title": "A"}]}
    ],
    "rich text": [
        rich(
            words("by "),
            {"type": "user", "user_id": "U0ADA", "style": {"bold": True}},
            {"type": "emoji", "name": "tada"},
            {"type": "link", "url": "https://example.org"},
        ),
        {
            "type": "rich_text",
            "elements": [{"type": "rich_text_preformatted", "elements": [words("tail")]}],
        },
    ],
    "table": [{"type": "table", "rows": [[{"type": "raw_text", "text": "x"}, rich(words("y"))]]}],
    "markdown": [{"type": "markdown", "text": "# hello"}],
}

BAD_MODALS = {
    "long title": modal(section(), title=plain("x" * 25)),
    "no title": {"type": "modal", "blocks": [section()]},
    "input without submit": modal(field()),
    "plan": modal(plan(task())),
    "long private_metadata": modal(section(), private_metadata="x" * 3001),
    "long submit": modal(section(), submit=plain("x" * 25)),
    "101 blocks": modal(*[section()] * 101),
    "long max_length": modal(field(max_length=3001), submit=plain("Go")),
    "unknown key": modal(section(), colour="red"),
    "label in mrkdwn": modal(field() | {"label": md("x")}, submit=plain("Go")),
}


@pytest.mark.parametrize("name", BAD_BLOCKS)
def test_refuses_blocks(name: str) -> None:
    assert validate_message({"text": "x", "blocks": BAD_BLOCKS[name]})


@pytest.mark.parametrize("name", GOOD_BLOCKS)
def test_takes_blocks(name: str) -> None:
    assert validate_message({"text": "x", "blocks": GOOD_BLOCKS[name]}) == []


@pytest.mark.parametrize("name", BAD_MODALS)
def test_refuses_modals(name: str) -> None:
    assert validate_modal(BAD_MODALS[name])


def test_takes_a_modal_and_a_home() -> None:
    view = modal(section(), field(multiline=True, max_length=3000), submit=plain("Go"))
    assert validate_modal(view | {"private_metadata": "x" * 3000, "notify_on_close": True}) == []
    assert validate_modal(modal({"type": "alert", "text": md("careful"), "level": "warning"})) == []
    assert validate_home({"type": "home", "blocks": [section(), actions(button())]}) == []


def test_says_where_and_what() -> None:
    found = validate_message({"text": "x", "blocks": [section(), section("x" * 3001)]})
    assert found == ["must be less than 3001 characters [json-pointer:/blocks/1/text/text]"]


def test_wants_text_to_read_out() -> None:
    assert validate_message({"blocks": [section()]})
    assert validate_message({"text": "x" * 4001})
