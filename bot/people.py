"""Who is speaking, and what they may do. Known by ids, never by display names; unknown means no."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from bot.config import Config, Permission
from bot.errors import Refused, did_you_mean

GROUP, USER = re.compile(r"S[A-Z0-9]+"), re.compile(r"[UW][A-Z0-9]+")
STATUS = {
    "guest": "a guest of the workspace may not speak to Packlead",
    "stranger": "somebody from another workspace may not speak to Packlead",
    "gone": "this account is deactivated",
    "bot": "a bot may not speak to Packlead",
    "unreachable": "Slack cannot be asked who you are just now, and without that the answer is no",
}


@dataclass(frozen=True)
class Who:
    """Somebody, as a front knows them: `status` is member, or one of STATUS."""

    front: str  # slack, terminal, github, deploys, clock
    id: str
    team: str = ""
    groups: frozenset[str] = field(default_factory=frozenset)
    status: str = "member"
    zone: str = ""  # their time zone, where the front knows it
    name: str = ""  # their name in the config, where the front has proof of it
    stand_in: bool = False  # it is for somebody whom the front does not know


@dataclass(frozen=True)
class Speaker:
    """A person of the config, with the user groups that the front found them in."""

    name: str
    groups: frozenset[str] = field(default_factory=frozenset)
    zone: str = ""


class People:
    """The people and permissions of the config."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def identify(self, who: Who) -> Speaker:
        """Return who this is; raises Refused for whoever may never speak."""
        if who.status != "member":
            raise Refused(STATUS.get(who.status, "Packlead does not know who you are"))
        if who.front == "clock":
            return Speaker("clock")
        slack = self.config.slack
        if who.front == "slack" and (slack is None or who.team != slack.team):
            raise Refused(STATUS["stranger"])
        if who.name in self.config.people:
            return Speaker(who.name, who.groups, who.zone)
        attribute = {"terminal": "unix"}.get(who.front, who.front)
        for name, person in self.config.people.items():
            if who.id and getattr(person, attribute, None) == who.id:
                return Speaker(name, who.groups, who.zone)
        if who.front == "slack" and any(g in p.who for p in self.rows() for g in who.groups):
            return Speaker(who.id, who.groups, who.zone)
        raise Refused(
            f"Packlead does not know you ({who.front} {who.id or 'without an id'})",
            self._add(attribute, who.id),
        )

    def rows(self) -> tuple[Permission, ...]:
        return self.config.permissions

    def may(self, speaker: Speaker, permission: str, environment: str = "") -> bool:
        """Say whether somebody has a permission; without an environment: on at least one."""
        return not permission or any(
            self.is_one(speaker, row.who)
            and _in(permission, row.may)
            and (not environment or _in(environment, row.on))
            for row in self.rows()
        )

    def may_have(self, name: str, permission: str, environment: str) -> bool:
        """Say whether somebody has a permission by their name, or may have it by a group."""
        groups = frozenset(w for row in self.rows() for w in row.who if GROUP.fullmatch(w))
        by_id = bool(USER.fullmatch(name))
        if name not in self.config.people and name != "clock" and not by_id:
            return False
        known = frozenset() if name == "clock" else groups
        return self.may(Speaker(name, known), permission, environment)

    def authorise(self, speaker: Speaker, permission: str, environment: str = "") -> None:
        """Raise Refused, naming who may, unless somebody has a permission."""
        if self.may(speaker, permission, environment):
            return
        where = f" on {environment}" if environment else ""
        able = self.who_may(permission, environment)
        raise Refused(
            f"{speaker.name} may not {permission}{where}",
            f"{', '.join(able)} may: ask there" if able else "nobody may; see [[permissions]]",
        )

    def who_may(self, permission: str, environment: str = "") -> list[str]:
        """Return the names of people, and ids of groups, that have a permission."""
        rows = [
            row
            for row in self.rows()
            if _in(permission, row.may) and (not environment or _in(environment, row.on))
        ]
        return list(dict.fromkeys(name for row in rows for name in row.who))

    def is_one(self, speaker: Speaker, who: Iterable[str]) -> bool:
        """Say whether somebody is among these names and groups."""
        return any(w in ("*", speaker.name) or w in speaker.groups for w in who)

    def _add(self, attribute: str, id: str) -> str:
        how = f'[people.NAME] {attribute} = "{id}"'
        return f"who keeps its config can add you: {how}" if id else ""


def unknown(config: Config, permissions: Iterable[str]) -> list[str]:
    """Say which words of `may` are no permission: these are what commands ask for, and force."""
    known = sorted({*filter(None, permissions), "force", "*"})
    return [
        f"permissions.{number}.may: there is no permission {word!r}, "
        + (did_you_mean(word, known) or f"there are {', '.join(known[1:])}")
        for number, row in enumerate(config.permissions)
        for word in row.may
        if word not in known
    ]


def _in(word: str, row: tuple[str, ...]) -> bool:
    return "*" in row or word in row
