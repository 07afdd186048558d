"""Modals, stacked up to three deep for each person, and the home tab."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field

from tests.lab.slack.people import APP, BOT, TEAM
from tests.lab.slack.records import Json, SlackError

DEPTH = 3


@dataclass
class Views:
    stacks: dict[str, list[Json]] = field(default_factory=dict)
    homes: dict[str, Json] = field(default_factory=dict)

    def open(self, user: str, view: Json) -> Json:
        """A new modal takes the place of whatever the person had open."""
        self._check_external_id(view)
        shown = _dress(view)
        shown["root_view_id"] = shown["id"]
        self.stacks[user] = [shown]
        return shown

    def push(self, user: str, view: Json) -> Json:
        stack = self.stacks.setdefault(user, [])
        if len(stack) >= DEPTH:
            raise SlackError("push_limit_reached")
        self._check_external_id(view)
        shown = _dress(view)
        below = stack[-1] if stack else shown
        shown |= {"previous_view_id": below["id"], "root_view_id": below["root_view_id"]}
        stack.append(shown)
        return shown

    def update(self, view_id: str, view: Json, expected: str = "", external_id: str = "") -> Json:
        shown = self.find(view_id, external_id)
        if shown is None:
            raise SlackError("not_found")
        if expected and expected != shown["hash"]:
            raise SlackError("hash_conflict")
        kept = {key: shown[key] for key in ("id", "root_view_id", "previous_view_id")}
        values = shown["state"]
        shown.clear()
        shown |= _dress(view) | kept | {"state": values}
        return shown

    def publish(self, user: str, view: Json, expected: str = "") -> Json:
        old = self.homes.get(user)
        if expected and old is not None and expected != old["hash"]:
            raise SlackError("hash_conflict")
        shown = _dress(view)
        if old is not None:
            shown["id"] = old["id"]
        shown["root_view_id"] = shown["id"]
        self.homes[user] = shown
        return shown

    def find(self, view_id: str, external_id: str = "") -> Json | None:
        for view in [view for stack in self.stacks.values() for view in stack]:
            if (view_id and view["id"] == view_id) or (
                external_id and view["external_id"] == external_id
            ):
                return view
        return next((home for home in self.homes.values() if home["id"] == view_id), None)

    def owner(self, view_id: str) -> str:
        for user, stack in self.stacks.items():
            if any(view["id"] == view_id for view in stack):
                return user
        return next(user for user, home in self.homes.items() if home["id"] == view_id)

    def close(self, user: str, view_id: str = "", everything: bool = False) -> list[Json]:
        """Take the top view (or all) off a person's screen; what was closed, topmost first."""
        stack = self.stacks.get(user, [])
        if view_id and not any(view["id"] == view_id for view in stack):
            return []
        closed = stack[::-1] if everything else stack[-1:]
        self.stacks[user] = [] if everything else stack[:-1]
        return closed

    def _check_external_id(self, view: Json) -> None:
        wanted = view.get("external_id")
        if wanted and self.find("", wanted) is not None:
            raise SlackError("duplicate_external_id")


def _dress(view: Json) -> Json:
    """A view as Slack answers with it: defaults filled in, ids and a hash made."""
    shown: Json = {
        "id": f"V{secrets.token_hex(5).upper()}",
        "team_id": TEAM,
        "app_id": APP,
        "app_installed_team_id": TEAM,
        "bot_id": BOT,
        "callback_id": "",
        "external_id": "",
        "private_metadata": "",
        "title": {"type": "plain_text", "text": "View Title"},
        "submit": None,
        "close": None,
        "clear_on_close": False,
        "notify_on_close": False,
        "previous_view_id": None,
        "root_view_id": "",
        "state": {"values": {}},
    }
    shown |= view
    shown["blocks"] = with_ids(view.get("blocks", []))
    shown["hash"] = f"{int(time.time())}.{secrets.token_hex(4)}"
    return shown


def snapshot(view: Json) -> Json:
    """A view as payloads carry it."""
    return {key: value for key, value in view.items() if key != "errors"}


def with_ids(blocks: list[Json]) -> list[Json]:
    """Blocks as Slack keeps them: what came without a block_id or action_id gets one."""
    kept = []
    for block in blocks:
        block = dict(block)
        block.setdefault("block_id", secrets.token_urlsafe(4)[:5])
        for key in ("elements", "accessory", "element"):
            if block.get("type") in ("actions", "section", "input", "context_actions"):
                block = _with_action_ids(block, key)
        kept.append(block)
    return kept


def _with_action_ids(block: Json, key: str) -> Json:
    inner = block.get(key)
    if isinstance(inner, dict):
        block[key] = {"action_id": secrets.token_urlsafe(4)[:5]} | inner
    elif isinstance(inner, list):
        block[key] = [{"action_id": secrets.token_urlsafe(4)[:5]} | item for item in inner]
    return block
