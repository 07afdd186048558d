"""What stands inside blocks: text objects, options, confirm dialogs, buttons, inputs."""

from __future__ import annotations

from collections.abc import Callable

from tests.lab.slack import limits
from tests.lab.slack.spots import Spot

SOURCES = ("static", "external", "users", "conversations", "channels")
SELECTS = tuple(f"{source}_select" for source in SOURCES)
MULTI_SELECTS = tuple(f"multi_{source}_select" for source in SOURCES)
PICKERS = ("datepicker", "timepicker", "datetimepicker")
CHOICES = ("checkboxes", "radio_buttons")
IN_ACTIONS = (
    "button", "workflow_button", "overflow", "rich_text_input",
    *SELECTS, *MULTI_SELECTS, *PICKERS, *CHOICES,
)  # fmt: skip
IN_SECTION = (
    "button", "workflow_button", "overflow", "image",
    *SELECTS, *MULTI_SELECTS, "datepicker", "timepicker", *CHOICES,
)  # fmt: skip
IN_INPUT = (
    "plain_text_input", "email_text_input", "url_text_input", "number_input", "rich_text_input",
    "file_input", *SELECTS, *MULTI_SELECTS, *PICKERS, *CHOICES,
)  # fmt: skip
IN_CONTEXT_ACTIONS = ("feedback_buttons", "icon_button")
COMMON = ("action_id", "confirm", "focus_on_load")


def text(spot: Spot, most: int = limits.TEXT, kinds: tuple[str, ...] = ()) -> None:
    """A text object of 1 to `most` characters."""
    if not spot.is_object():
        return
    kinds = kinds or ("plain_text", "mrkdwn")
    if not spot.at("type").one_of(kinds):
        return
    extra = ("emoji",) if spot.value["type"] == "plain_text" else ("verbatim",)
    if spot.fields(("text",), extra):
        spot.at("text").string(most)
    spot.boolean(*extra)


def plain(spot: Spot, most: int = limits.TEXT) -> None:
    text(spot, most, ("plain_text",))


def optional_plain(spot: Spot, key: str, most: int = limits.TEXT) -> None:
    if spot.has(key):
        plain(spot.at(key), most)


def element(spot: Spot, allowed: tuple[str, ...]) -> None:
    """An interactive element or image, in a place where only some may stand."""
    if not spot.is_object():
        return
    kind = spot.value.get("type")
    if kind not in allowed:
        spot.say(f"unsupported type: {kind}")
        return
    spot.optional_string("action_id", limits.ID)
    if spot.has("confirm"):
        confirm(spot.at("confirm"))
    optional_plain(spot, "placeholder", limits.PLACEHOLDER)
    spot.boolean("focus_on_load")
    _RULES[kind](spot)


def confirm(spot: Spot) -> None:
    if not spot.fields(("title", "text", "confirm", "deny"), ("style",)):
        return
    plain(spot.at("title"), limits.CONFIRM_TITLE)
    text(spot.at("text"), limits.CONFIRM_TEXT)
    plain(spot.at("confirm"), limits.CONFIRM_BUTTON)
    plain(spot.at("deny"), limits.CONFIRM_BUTTON)
    _style(spot)


def image(spot: Spot) -> None:
    spot.fields(("alt_text",), ("image_url", "slack_file", "action_id"))
    if spot.has("image_url") == spot.has("slack_file"):
        spot.say("must define exactly one of image_url and slack_file")
    spot.web_address("image_url", limits.URL)
    spot.optional_string("alt_text", limits.ALT_TEXT)


def options(spot: Spot, most: int, kinds: tuple[str, ...] = ("plain_text",)) -> None:
    if not spot.array(most):
        return
    for option in spot.items():
        if option.fields(("text", "value"), ("description", "url")):
            text(option.at("text"), limits.OPTION_TEXT, kinds)
            option.at("value").string(limits.OPTION_VALUE)
        if option.has("description"):
            text(option.at("description"), limits.OPTION_DESCRIPTION, kinds)
        option.web_address("url", limits.URL)
    values = [option.get("value") for option in spot.value if isinstance(option, dict)]
    if len(set(map(str, values))) < len(values):
        spot.say("option values must be unique")


def _button(spot: Spot) -> None:
    optional = (*COMMON, "url", "value", "style", "accessibility_label")
    if spot.fields(("text",), optional):
        plain(spot.at("text"), limits.BUTTON_TEXT)
    spot.optional_string("value", limits.BUTTON_VALUE)
    spot.optional_string("accessibility_label", limits.LABEL_75)
    spot.web_address("url", limits.URL)
    _style(spot)


def _workflow_button(spot: Spot) -> None:
    if spot.fields(("text", "workflow"), (*COMMON, "style", "accessibility_label")):
        plain(spot.at("text"), limits.BUTTON_TEXT)
    _style(spot)


def _overflow(spot: Spot) -> None:
    if spot.fields(("options",), COMMON):
        options(spot.at("options"), limits.OVERFLOW)


def _choices(spot: Spot) -> None:
    single = spot.value["type"] == "radio_buttons"
    initial = "initial_option" if single else "initial_options"
    if spot.fields(("options",), (*COMMON, initial)):
        options(spot.at("options"), limits.CHECKBOXES, ("plain_text", "mrkdwn"))
        _initial(spot, initial)


def _select(spot: Spot) -> None:
    kind = str(spot.value["type"])
    many = kind.startswith("multi_")
    source = kind.removeprefix("multi_").removesuffix("_select")
    name = {"static": "option", "external": "option"}.get(source, source.removesuffix("s"))
    initial = f"initial_{name}s" if many else f"initial_{name}"
    optional = [*COMMON, "placeholder", initial, "response_url_enabled"]
    optional += ["max_selected_items"] if many else []
    optional += {
        "static": ["options", "option_groups"],
        "external": ["min_query_length"],
        "conversations": ["default_to_current_conversation", "filter"],
    }.get(source, [])
    spot.fields((), optional)
    spot.whole("max_selected_items", 1, limits.OPTIONS)
    if source != "static":
        return
    if spot.has("options") == spot.has("option_groups"):
        spot.say("must define exactly one of options and option_groups")
        return
    if spot.has("options"):
        options(spot.at("options"), limits.OPTIONS)
    elif spot.at("option_groups").array(limits.OPTION_GROUPS):
        for group in spot.at("option_groups").items():
            if group.fields(("label", "options")):
                plain(group.at("label"), limits.LABEL_75)
                options(group.at("options"), limits.OPTIONS)
    _initial(spot, initial)


def _picker(spot: Spot) -> None:
    kind = spot.value["type"]
    initial = {"datepicker": "initial_date", "timepicker": "initial_time"}
    optional = [*COMMON, initial.get(kind, "initial_date_time")]
    optional += ["placeholder"] if kind != "datetimepicker" else []
    spot.fields((), [*optional, "timezone"] if kind == "timepicker" else optional)


def _text_input(spot: Spot) -> None:
    kind = spot.value["type"]
    optional = [*COMMON, "placeholder", "initial_value", "dispatch_action_config"]
    if kind == "plain_text_input":
        spot.fields((), [*optional, "multiline", "min_length", "max_length"])
        spot.boolean("multiline")
        spot.whole("min_length", 0, limits.INPUT_LENGTH)
        spot.whole("max_length", 1, limits.INPUT_LENGTH)
        spot.optional_string("initial_value", limits.INPUT_LENGTH, least=0)
        least, most = spot.at("min_length").value, spot.at("max_length").value
        if isinstance(least, int) and isinstance(most, int) and least > most:
            spot.say("min_length must not be more than max_length")
    elif kind == "number_input":
        if spot.fields(("is_decimal_allowed",), [*optional, "min_value", "max_value"]):
            spot.boolean("is_decimal_allowed")
            if float(spot.value.get("min_value", "-inf")) > float(
                spot.value.get("max_value", "inf")
            ):
                spot.say("min_value must not be more than max_value")
    else:
        spot.fields((), optional)


def _file_input(spot: Spot) -> None:
    spot.fields((), ("action_id", "filetypes", "max_files"))
    spot.whole("max_files", 1, 10)


def _feedback(spot: Spot) -> None:
    if spot.fields(("positive_button", "negative_button"), ("action_id",)):
        for key in ("positive_button", "negative_button"):
            if spot.at(key).fields(("text", "value"), ("accessibility_label",)):
                plain(spot.at(key).at("text"), limits.LABEL_75)


def _icon_button(spot: Spot) -> None:
    optional = ("action_id", "value", "confirm", "accessibility_label", "visible_to_user_ids")
    if spot.fields(("icon", "text"), optional):
        plain(spot.at("text"), limits.BUTTON_TEXT)
        spot.at("icon").one_of(("trash",))


def _initial(spot: Spot, key: str) -> None:
    """What is chosen at first must be one of the options, letter for letter."""
    if not spot.has(key):
        return
    wanted = spot.at(key).value
    groups = spot.at("option_groups").value or []
    known = list(spot.at("options").value or [])
    known += [option for group in groups for option in group.get("options", [])]
    chosen = wanted if isinstance(wanted, list) else [wanted]
    if not chosen or any(option not in known for option in chosen):
        spot.at(key).say("must be among the options")


def _style(spot: Spot) -> None:
    if spot.has("style"):
        spot.at("style").one_of(("primary", "danger"))


_RULES: dict[str, Callable[[Spot], None]] = {
    "button": _button,
    "workflow_button": _workflow_button,
    "overflow": _overflow,
    "image": image,
    "file_input": _file_input,
    "feedback_buttons": _feedback,
    "icon_button": _icon_button,
    **dict.fromkeys(CHOICES, _choices),
    **dict.fromkeys((*SELECTS, *MULTI_SELECTS), _select),
    **dict.fromkeys(PICKERS, _picker),
    **dict.fromkeys(
        (
            "plain_text_input",
            "email_text_input",
            "url_text_input",
            "number_input",
            "rich_text_input",
        ),
        _text_input,
    ),
}
