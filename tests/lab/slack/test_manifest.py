"""The manifest validator: Slack's schema, and the misspelt names that the schema lets slip."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from tests.lab.slack import Slack, validate_manifest

Json = dict[str, Any]

GOOD: Json = {
    "_metadata": {"major_version": 2, "minor_version": 1},
    "display_information": {
        "name": "Packlead",
        "description": "Deploys",
        "background_color": "#123",
    },
    "features": {
        "bot_user": {"display_name": "packlead", "always_online": True},
        "app_home": {"messages_tab_enabled": True, "messages_tab_read_only_enabled": False},
        "slash_commands": [
            {"command": "/deploy", "description": "Deploy", "usage_hint": "ENV [REF]"},
            {"command": "/rotate-key", "description": "Change a key", "should_escape": False},
        ],
    },
    "oauth_config": {"scopes": {"bot": ["commands", "chat:write", "app_mentions:read"]}},
    "settings": {
        "event_subscriptions": {"bot_events": ["app_mention"]},
        "interactivity": {"is_enabled": True},
        "org_deploy_enabled": False,
        "socket_mode_enabled": True,
        "token_rotation_enabled": False,
    },
}


def command(**changes: Any) -> Callable[[Json], None]:
    return lambda manifest: manifest["features"]["slash_commands"][0].update(changes)


def set_in(*path: str, value: Any) -> Callable[[Json], None]:
    def change(manifest: Json) -> None:
        for key in path[:-1]:
            manifest = manifest[key]
        manifest[path[-1]] = value

    return change


BAD = {
    "long name": set_in("display_information", "name", value="x" * 36),
    "no name": set_in("display_information", value={}),
    "bad colour": set_in("display_information", "background_color", value="blue"),
    "short long_description": set_in("display_information", "long_description", value="x" * 174),
    "command without slash": command(command="deploy"),
    "long command": command(command="/" + "x" * 32),
    "command in capitals": command(command="/Deploy"),
    "the same command twice": command(command="/rotate-key"),
    "a command that Slack has itself": command(command="/status"),
    "no description": command(description=None),
    "long usage hint": command(usage_hint="x" * 1001),
    "unknown key of a command": command(usage="ENV"),
    "51 commands": set_in(
        "features",
        "slash_commands",
        value=[{"command": f"/c{n}", "description": "x"} for n in range(51)],
    ),
    "misspelt scope": set_in("oauth_config", "scopes", "bot", value=["commands", "chat:wirte"]),
    "misspelt event": set_in(
        "settings", "event_subscriptions", "bot_events", value=["app_mentions"]
    ),
    "event without its scope": set_in(
        "settings", "event_subscriptions", "bot_events", value=["message.im"]
    ),
    "no bot user": set_in("features", "bot_user", value=None),
    "neither socket nor url": set_in("settings", "socket_mode_enabled", value=False),
    "unknown setting": set_in("settings", "sockets", value=True),
    "string for a boolean": set_in("settings", "socket_mode_enabled", value="yes"),
    "unknown part": set_in("permissions", value={}),
}


def test_takes_a_good_one() -> None:
    assert validate_manifest(GOOD) == []


@pytest.mark.parametrize("name", BAD)
def test_refuses(name: str) -> None:
    manifest = copy.deepcopy(GOOD)
    BAD[name](manifest)
    assert validate_manifest(manifest)


def test_takes_http_with_urls() -> None:
    manifest = copy.deepcopy(GOOD)
    url = "https://packlead.example.org/slack/events"
    manifest["settings"]["socket_mode_enabled"] = False
    manifest["settings"]["event_subscriptions"]["request_url"] = url
    manifest["settings"]["interactivity"]["request_url"] = url
    for item in manifest["features"]["slash_commands"]:
        item["url"] = url
    assert validate_manifest(manifest) == []


def test_an_installed_app_has_only_what_it_asked_for(slack: Slack, client: WebClient) -> None:
    slack.install(GOOD)
    with pytest.raises(SlackApiError) as caught:
        client.users_info(user="U0ADA")
    assert caught.value.response["error"] == "missing_scope"
    assert caught.value.response["needed"] == "users:read"
    client.chat_postMessage(channel="C0PROD", text="hello")


def test_a_command_nobody_registered_is_none(slack: Slack) -> None:
    slack.install(GOOD)
    assert slack.command("U0ADA", "/depoly", "prod").error == "invalid_command"
    assert "not a valid command" in slack.ephemerals("U0ADA")[-1].text
