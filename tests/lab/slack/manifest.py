"""The app manifest against Slack's published schema (v2), and what the schema lets slip."""

from __future__ import annotations

import re

from tests.lab.slack import limits
from tests.lab.slack.names import BOT_EVENTS, BOT_SCOPES, SCOPE_OF_EVENT
from tests.lab.slack.records import Json
from tests.lab.slack.spots import Spot

BUILT_IN = ("/help", "/remind", "/status", "/topic", "/who", "/join", "/leave", "/open", "/search")
COMMAND = re.compile(r"/[a-z0-9_-]+")
COLOUR = re.compile(r"#(?:[0-9a-fA-F]{3}){1,2}")
TOP = (
    "_metadata", "$schema", "features", "oauth_config", "settings", "functions", "workflows",
    "datastores", "outgoing_domains", "types", "external_auth_providers", "app_directory",
    "mcp_servers",
)  # fmt: skip
FEATURES = (
    "app_home", "bot_user", "functions", "shortcuts", "slash_commands", "workflow_steps",
    "unfurl_domains", "assistant_view", "agent_view",
)  # fmt: skip
SETTINGS = (
    "allowed_ip_address_ranges", "event_subscriptions", "incoming_webhooks", "interactivity",
    "org_deploy_enabled", "socket_mode_enabled", "is_hosted", "token_rotation_enabled",
    "siws_links", "hermes_app_type", "function_runtime", "is_mcp_enabled",
)  # fmt: skip


def validate_manifest(manifest: Json) -> list[str]:
    found: list[str] = []
    spot = Spot(manifest, "", found)
    if not spot.fields(("display_information",), TOP):
        return found
    _metadata(spot.at("_metadata"))
    _display(spot.at("display_information"))
    _features(spot.at("features"))
    _oauth(spot.at("oauth_config"))
    _settings(spot.at("settings"))
    _together(spot)
    return found


def _metadata(spot: Spot) -> None:
    if spot.value is None:
        return
    keys = ("schema_version", "min_version", "major_version", "minor_version")
    if spot.fields((), keys):
        for key in keys:
            spot.whole(key, 0, 100)


def _display(spot: Spot) -> None:
    if spot.fields(("name",), ("description", "background_color", "long_description")):
        spot.at("name").string(limits.APP_NAME)
    spot.optional_string("description", limits.SHORT_DESCRIPTION)
    least, most = limits.LONG_DESCRIPTION
    spot.optional_string("long_description", most, least)
    if spot.has("background_color") and not COLOUR.fullmatch(str(spot.value["background_color"])):
        spot.at("background_color").say("must be a colour such as #1264a3")


def _features(spot: Spot) -> None:
    if spot.value is None or not spot.fields((), FEATURES):
        return
    home = ("home_tab_enabled", "messages_tab_enabled", "messages_tab_read_only_enabled")
    if spot.has("app_home") and spot.at("app_home").fields((), home):
        spot.at("app_home").boolean(*home)
    bot = spot.at("bot_user")
    if spot.has("bot_user") and bot.fields(("display_name",), ("always_online",)):
        bot.at("display_name").string(limits.BOT_NAME)
        bot.boolean("always_online")
    if spot.has("slash_commands"):
        _commands(spot.at("slash_commands"))
    if spot.has("shortcuts"):
        _shortcuts(spot.at("shortcuts"))
    if spot.has("unfurl_domains"):
        spot.at("unfurl_domains").array(limits.UNFURL_DOMAINS)


def _commands(spot: Spot) -> None:
    if not spot.array(limits.COMMANDS):
        return
    names = []
    least, most = limits.COMMAND
    for command in spot.items():
        if command.fields(("command", "description"), ("url", "usage_hint", "should_escape")):
            name = command.value["command"]
            command.at("command").string(most, least)
            if isinstance(name, str) and not COMMAND.fullmatch(name):
                command.at("command").say("must be a slash and lower case letters, without spaces")
            if name in BUILT_IN:
                command.at("command").say("the slash command has an invalid name")
            names.append(name)
        command.optional_string("description", limits.COMMAND_DESCRIPTION)
        command.optional_string("usage_hint", limits.COMMAND_HINT)
        command.boolean("should_escape")
        command.web_address("url")
    for name in sorted({str(name) for name in names if names.count(name) > 1}):
        spot.say(f"the command {name} is there more than once")


def _shortcuts(spot: Spot) -> None:
    if not spot.array(limits.SHORTCUTS):
        return
    for shortcut in spot.items():
        if shortcut.fields(("name", "type", "callback_id", "description")):
            shortcut.at("name").string(limits.SHORTCUT_NAME)
            shortcut.at("type").one_of(("message", "global"))
            shortcut.at("callback_id").string(limits.ID)
            shortcut.at("description").string(limits.SHORTCUT_DESCRIPTION)


def _oauth(spot: Spot) -> None:
    keys = ("redirect_urls", "scopes", "token_management_enabled", "pkce_enabled")
    if spot.value is None or not spot.fields((), keys):
        return
    if spot.has("redirect_urls"):
        spot.at("redirect_urls").array(limits.REDIRECT_URLS, least=0)
    scopes = spot.at("scopes")
    if not spot.has("scopes"):
        return
    if not scopes.fields((), ("user", "bot", "user_optional", "bot_optional")):
        return
    for key in ("bot", "bot_optional"):
        if scopes.has(key):
            _known(scopes.at(key), BOT_SCOPES, limits.SCOPES, "scope")


def _settings(spot: Spot) -> None:
    if spot.value is None or not spot.fields((), SETTINGS):
        return
    spot.boolean("org_deploy_enabled", "socket_mode_enabled", "is_hosted", "token_rotation_enabled")
    events = spot.at("event_subscriptions")
    keys = ("request_url", "user_events", "bot_events", "metadata_subscriptions")
    if spot.has("event_subscriptions") and events.fields((), keys):
        events.web_address("request_url", 3500)
        if events.has("bot_events"):
            _known(events.at("bot_events"), BOT_EVENTS, limits.BOT_EVENTS, "event")
    interactivity = spot.at("interactivity")
    optional = ("request_url", "message_menu_options_url")
    if spot.has("interactivity") and interactivity.fields(("is_enabled",), optional):
        interactivity.boolean("is_enabled")
        interactivity.web_address("request_url", 3500)


def _known(spot: Spot, known: frozenset[str], most: int, what: str) -> None:
    if not spot.array(most, least=0):
        return
    for item in spot.items():
        if not isinstance(item.value, str) or item.value not in known:
            item.say(f"unknown {what}: {item.value}")
    if len(set(map(str, spot.value))) < len(spot.value):
        spot.say("must not name anything twice")


def _together(spot: Spot) -> None:
    """Rules between the parts, as Slack applies them when the manifest is saved."""
    features, settings = spot.at("features"), spot.at("settings")
    socket = settings.at("socket_mode_enabled").value is True
    events, interactivity = settings.at("event_subscriptions"), settings.at("interactivity")
    scopes = spot.at("oauth_config").at("scopes").at("bot").value or []
    named = [item for item in events.at("bot_events").value or [] if isinstance(item, str)]
    if named and not socket and not events.has("request_url"):
        events.say("requires either request_url or socket_mode_enabled")
    if interactivity.at("is_enabled").value and not socket and not interactivity.has("request_url"):
        interactivity.say("requires either request_url or socket_mode_enabled")
    if (scopes or named) and not features.has("bot_user"):
        features.say("bot_user is required where there are bot scopes or bot events")
    for command in features.at("slash_commands").items():
        if isinstance(command.value, dict) and not socket and not command.has("url"):
            command.say("requires either url or socket_mode_enabled")
    if features.has("slash_commands") and "commands" not in scopes:
        features.at("slash_commands").say("requires the bot scope commands")
    for name in named:
        wanted = SCOPE_OF_EVENT.get(name)
        if wanted and wanted not in scopes:
            events.say(f"the event {name} requires the bot scope {wanted}")
