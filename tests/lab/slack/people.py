"""The people, channels and groups of the lab's workspace."""

from __future__ import annotations

from dataclasses import dataclass, field

TEAM = "T0LAB"
TEAM_DOMAIN = "packlead-lab"
OTHER_TEAM = "T0OTHER"
APP = "A0PACKLEAD"
BOT_USER = "U0PACKLEAD"
BOT = "B0PACKLEAD"
BOT_NAME = "packlead"
SLACKBOT = "USLACKBOT"


@dataclass(frozen=True)
class User:
    """A member of the workspace, or a stranger who sees it through a shared channel."""

    id: str
    name: str
    real_name: str
    team: str = TEAM
    deleted: bool = False
    is_bot: bool = False
    is_restricted: bool = False
    is_ultra_restricted: bool = False
    is_stranger: bool = False
    is_admin: bool = False
    is_owner: bool = False

    def as_slack(self) -> dict[str, object]:
        body: dict[str, object] = {
            "id": self.id,
            "team_id": self.team,
            "name": self.name,
            "real_name": self.real_name,
            "deleted": self.deleted,
            "is_bot": self.is_bot,
            "is_app_user": False,
            "tz": "Europe/Vienna",
            "tz_offset": 3600,
            "updated": 1_700_000_000,
            "profile": {
                "real_name": self.real_name,
                "display_name": self.name,
                "team": self.team,
            },
        }
        if self.is_stranger:
            return body | {"is_stranger": True}
        return body | {
            "is_admin": self.is_admin,
            "is_owner": self.is_owner,
            "is_primary_owner": False,
            "is_restricted": self.is_restricted,
            "is_ultra_restricted": self.is_ultra_restricted,
        }


@dataclass
class Channel:
    """A public channel, or a direct conversation between one person and the bot."""

    id: str
    name: str
    members: list[str] = field(default_factory=list)
    dm_with: str = ""
    is_archived: bool = False
    is_ext_shared: bool = False

    def as_slack(self) -> dict[str, object]:
        body: dict[str, object] = {
            "id": self.id,
            "created": 1_700_000_000,
            "is_archived": self.is_archived,
            "context_team_id": TEAM,
        }
        if self.dm_with:
            return body | {"is_im": True, "is_channel": False, "user": self.dm_with}
        return body | {
            "name": self.name,
            "name_normalized": self.name,
            "is_channel": True,
            "is_im": False,
            "is_private": False,
            "is_ext_shared": self.is_ext_shared,
            "is_shared": self.is_ext_shared,
            "is_member": BOT_USER in self.members,
            "num_members": len(self.members),
        }


def users() -> dict[str, User]:
    people = [
        User("U0ADA", "ada", "Ada Byron", is_admin=True),
        User("U0BOB", "bob", "Bob Ross"),
        User("U0EVE", "eve", "Eve Dumont"),
        User("U0GUEST", "guest", "Gus Guest", is_restricted=True, is_ultra_restricted=True),
        User("U0STRANGER", "stranger", "Sam Stranger", team=OTHER_TEAM, is_stranger=True),
        User("U0GONE", "gone", "Gwen Gone", deleted=True),
        User("U0ROBOT", "robot", "Rosie Robot", is_bot=True),
        User(BOT_USER, BOT_NAME, "Packlead", is_bot=True),
        User(SLACKBOT, "slackbot", "Slackbot"),
    ]
    return {user.id: user for user in people}


def channels() -> dict[str, Channel]:
    everyone = ["U0ADA", "U0BOB", "U0EVE", "U0GUEST", "U0ROBOT", BOT_USER]
    rooms = [
        Channel("C0PROD", "prod", [*everyone, "U0STRANGER"], is_ext_shared=True),
        Channel("C0PUPPY", "puppystream", list(everyone)),
        Channel("C0OPS", "ops", list(everyone)),
        Channel("C0RANDOM", "random", ["U0EVE"]),
        Channel("D0ADA", "", ["U0ADA", BOT_USER], dm_with="U0ADA"),
    ]
    return {room.id: room for room in rooms}


def groups() -> dict[str, dict[str, object]]:
    ops: dict[str, object] = {
        "id": "S0OPS",
        "team_id": TEAM,
        "is_usergroup": True,
        "name": "Operations",
        "handle": "ops-people",
        "is_external": False,
        "date_delete": 0,
        "user_count": 1,
        "users": ["U0ADA"],
    }
    return {"S0OPS": ops}
