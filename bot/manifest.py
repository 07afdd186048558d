"""The Slack app's manifest, made from the commands: what to paste where a Slack app is created."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.command import Command
from bot.config import Config
from bot.errors import Misconfigured

MOST_COMMANDS = 50  # Slack's limit for an app
# Slack's own. An app that asks for one of them is refused as a whole; the first two are named at
# api.slack.com/interactivity/slash-commands, others by who ran into them (NousResearch/hermes-agent
# #18456); of help some were refused and some were not. All can be said as `/packlead NAME`.
BUILT_IN = frozenset(
    {"remind", "topic", "status", "help", "active", "apps", "archive", "away", "call", "collapse",
     "commands", "debug", "dm", "dnd", "expand", "feed", "feedback", "invite", "join", "keys",
     "kick", "leave", "me", "msg", "mute", "open", "part", "prefs", "pro", "remove", "rename",
     "search", "shortcuts", "shrug", "star", "who"}
)  # fmt: skip
EVENTS_PATH = "/slack/events"
SCOPES = [
    "app_mentions:read",  # @packlead deploy prod
    "chat:write",
    "commands",
    "im:history",  # lines typed to Packlead alone
    "usergroups:read",  # who is in a user group that has permissions
    "users:read",  # guests, strangers and deactivated people are refused
]
EVENTS = [
    "app_home_opened",
    "app_mention",
    "message.im",
    "subteam_members_changed",
    "user_change",
]


def manifest(commands: Mapping[str, Command], config: Config, url: str = "") -> dict[str, Any]:
    """Return the manifest, valid under Slack's schema v2: Socket Mode, or signed HTTP at a URL."""
    if url and not url.startswith("https://"):
        raise Misconfigured(f"{url!r} is not where Slack reaches Packlead", "give an https:// URL")
    where = f"{url.rstrip('/')}{EVENTS_PATH}" if url else ""
    known = [c for c in commands.values() if not c.hidden and c.name not in BUILT_IN]
    shown = known[: MOST_COMMANDS - 1]
    example = next(iter(config.environments))
    request = {"request_url": where} if where else {}
    return {
        "_metadata": {"major_version": 2, "minor_version": 1},
        "display_information": {
            "name": "Packlead",
            "description": f"Deploys and operates {config.app.name} from Slack"[:140],
            "background_color": "#1f3a5f",
        },
        "features": {
            "app_home": {
                "home_tab_enabled": True,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": False,
            },
            "bot_user": {"display_name": "packlead", "always_online": True},
            "slash_commands": [
                *(_slash(c.name, c.title, c.usage.removeprefix(c.name), where) for c in shown),
                _slash("packlead", "Any command of Packlead", f"status {example}", where),
            ],
        },
        "oauth_config": {"scopes": {"bot": SCOPES}},
        "settings": {
            "event_subscriptions": {"bot_events": EVENTS, **request},
            "interactivity": {"is_enabled": True, **request},
            "org_deploy_enabled": False,
            "socket_mode_enabled": not where,
            "token_rotation_enabled": False,  # it works only with an OAuth flow, which we have not
        },
    }


def _slash(name: str, title: str, hint: str, url: str) -> dict[str, Any]:
    command: dict[str, Any] = {
        "command": f"/{name}"[:32],
        "description": (title or name)[:2000],
        "should_escape": False,
    }
    if hint.strip():
        command["usage_hint"] = hint.strip()[:1000]
    return command | ({"url": url} if url else {})
