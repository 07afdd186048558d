"""The tables of docs/permissions.md, the people and channels they speak of, and lines to say."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.command import Command
from bot.config import Config
from bot.events import Question
from bot.people import STATUS
from bot.store import Store
from tests.lab.slack import Slack
from tests.lab.slack.people import BOT_USER, OTHER_TEAM, Channel, User

DOCS = (Path(__file__).parents[2] / "docs" / "permissions.md").read_text()
GROUP = "S0OPS"
NONE = "without one"
NO = (*STATUS.values(), " may not ", "does not know you")
ASKED = "scale"  # what a question is about, where one is answered


@dataclass(frozen=True)
class Line:
    """What is said: one command about one environment, or about none."""

    command: str
    environment: str
    text: str


def table(heading: str) -> list[dict[str, str]]:
    """Return the rows of the table that stands below a heading of the docs."""
    below = DOCS.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for line in below.splitlines()
        if line.startswith("|")
    ]
    head, _, *body = rows
    return [dict(zip(head, row, strict=True)) for row in body]


def config(base: Config) -> Config:
    """Return a config with the permissions that the docs show, and all of the people in it."""
    shown = re.search(r"```toml\n(.*?)```", DOCS, re.DOTALL)
    assert shown, "docs/permissions.md shows no permissions"
    data = base.model_dump(exclude_defaults=True)
    data["permissions"] = tomllib.loads(shown[1])["permissions"]
    data["environments"]["puppycrate"] = {"channel": "C0CRATE"}
    data["people"] = {"ada": {"slack": "U0ADA"}}
    return Config.model_validate(data)


def people(slack: Slack) -> dict[str, str]:
    """Have one of each kind join, most of them in the user group: kind, as in the docs -> id."""
    kinds = [row["who"] for row in table("Who asks")]
    makers: dict[str, dict[str, Any]] = {
        "in the user group": {},
        "a member outside": {},
        "an owner": {"is_owner": True, "is_admin": True},
        "a single-channel guest": {"is_restricted": True, "is_ultra_restricted": True},
        "a multi-channel guest": {"is_restricted": True},
        "somebody from another": {"is_stranger": True, "team": OTHER_TEAM},
        "a deactivated": {"deleted": True},
        "a bot": {"is_bot": True},
    }
    assert len(kinds) == len(makers), f"the docs speak of {kinds}"
    found = {}
    for number, (kind, (start, traits)) in enumerate(zip(kinds, makers.items(), strict=True)):
        assert kind.startswith(start), f"{kind!r} is not {start!r}"
        user = User(f"U0KIND{number}", f"kind{number}", kind, **traits)
        slack.meet(user, "" if "outside" in kind else GROUP)
        found[kind] = user.id
    return found


def channels(slack: Slack, everybody: list[str]) -> dict[str, dict[str, str]]:
    """Make one of each kind: kind, as the docs say it -> person -> channel."""
    kinds = [row["channel"] for row in table("Where")]
    own, other, shared, direct = kinds
    assert "own" in own and "other" in other and "shared" in shared and "direct" in direct
    members = [*everybody, BOT_USER]
    slack.found(Channel("C0CRATE", "crate", members))
    slack.found(Channel("C0THERE", "there", members))
    slack.found(Channel("C0SHARED", "shared", members, is_ext_shared=True))
    for id in ("C0PROD", "C0PUPPY"):
        slack.channel(id).members += everybody
        slack.channel(id).is_ext_shared = False
    return {
        own: dict.fromkeys(everybody, "C0CRATE"),
        other: dict.fromkeys(everybody, "C0THERE"),
        shared: dict.fromkeys(everybody, "C0SHARED"),
        direct: {user: slack.direct(user) for user in everybody},
    }


def refused(text: str) -> bool:
    return any(said in text for said in NO)


class Lines:
    """Every command, said about every environment and about none; nothing is listed by hand."""

    def __init__(self, config: Config, commands: Mapping[str, Command], store: Store) -> None:
        self.config, self.commands, self.store = config, commands, store
        self._count = iter(range(100_000))

    def every(self) -> Iterator[Line]:
        for command in self.commands.values():
            labels = {p.kind.label: p.required for p in command.words}
            about = [label for label in ("ENV", "TO", "OPERATION") if label in labels]
            if about:
                for environment in self.config.environments:
                    yield Line(command.name, environment, self._said(command, environment))
            said = any(p.required or p.kind.label in ("OPERATION", "KEY") for p in command.words)
            if not said or not about:
                yield Line(command.name, NONE, self._said(command, ""))

    def _said(self, command: Command, environment: str) -> str:
        """Return a line with every word that the command needs, and with its environment."""
        asked = self._asked(environment) if command.name in ("approve", "reject") else None
        words = {
            "ENV": environment,
            "TO": environment,
            "FROM": next(e for e in self.config.environments if e != environment),
            "OPERATION": f"#{asked or self._any(environment)}" if environment else "",
            "TOKEN": "token",
            "COUNT": "3",
            "KEY": "TWITTER_KEY",
            "REASON": "because of this",
            "until": "until",
            "WHEN": "36h",
            "-- COMMAND": "-- manage.py check",
            "TYPE": "web",
            "REF": "master",
            "RELEASE": "1",
            "COMMAND": "deploy",
        }
        needed = [
            words[p.kind.label]
            for p in command.words
            if p.required or p.kind.label in ("ENV", "OPERATION")
        ]
        if "generate" in command.flags and command.name == "rotate-key":
            needed.append("--generate")  # the form has a test of its own
        return " ".join([command.name, *filter(None, needed)])

    def _asked(self, environment: str) -> int:
        """Return an operation that waits for an answer, which nobody has given yet."""
        id = f"asked-{next(self._count)}"
        made, _ = self.store.submit(
            id, line=f"{ASKED} {environment} web 3", command=ASKED, environment=environment,
            person="clock", front="clock",
        )  # fmt: skip
        self.store.begin(id)
        self.store.ask(id, Question("sure?", "token"))
        return made.number

    def _any(self, environment: str) -> int:
        made, _ = self.store.submit(
            f"any-{environment}", line=f"status {environment}", command="status",
            environment=environment, person="clock", front="clock",
        )  # fmt: skip
        return made.number
