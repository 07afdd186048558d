"""Which keys are reminded of, what is said of them, and that it is silent else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from bot.adapters.aws.records import Secret
from bot.command import read
from bot.config import Config
from bot.events import Answered, Done, Event
from commands.remind import remind

NOW = 1_800_000_000.0
DAY = 86400.0


@dataclass
class Kept:
    """Keys with their versions, oldest first."""

    by_name: Mapping[str, tuple[Secret, ...]]

    def keys(self, _environment: str) -> tuple[Secret, ...]:
        return tuple(versions[-1] for versions in self.by_name.values())

    def versions(self, _environment: str, name: str) -> tuple[Secret, ...]:
        return self.by_name[name]


@dataclass
class Asked:
    """What of a job is needed here."""

    secrets: Kept
    rules: Mapping[str, Any]
    config: Config = field(init=False)

    def __post_init__(self) -> None:
        self.config = Config.model_validate(
            {
                "app": {"repository": "r"},
                "types": {"web": {}},
                "environments": {"prod": {"channel": "C0PROD"}},
                "keys": self.rules,
            }
        )

    def now(self) -> float:
        return NOW

    def told(self) -> list[Event]:
        return list(remind(self, self.config.environments["prod"]))  # type: ignore[arg-type]


def version(name: str, number: int, days: float, again: int = 0) -> Secret:
    return Secret(name, number, NOW - days * DAY, "ada", "1a2b3c4d", again)


def test_old_ones_are_named_the_oldest_first():
    kept = Kept(
        {
            "MAIL_KEY": (version("MAIL_KEY", 1, 400), version("MAIL_KEY", 2, 91)),
            "NEW_KEY": (version("NEW_KEY", 1, 500), version("NEW_KEY", 2, 3)),
            "TWITTER_KEY": (version("TWITTER_KEY", 5, 200.5),),
            "WHATEVER": (version("WHATEVER", 1, 5000),),
            "FREE": (version("FREE", 1, 5000),),
        }
    )
    ninety = {"max_age_days": 90}
    rules = {"MAIL_KEY": ninety, "NEW_KEY": ninety, "TWITTER_KEY": ninety, "FREE": {}}
    assert Asked(kept, rules).told() == [
        Answered(
            (
                "2 keys of prod are older than they may be:",
                "TWITTER_KEY is 200 d 12 h old (version 5, by ada), 90 d is the most: "
                "rotate-key TWITTER_KEY prod",
                "MAIL_KEY is 91 d old (version 2, by ada), 90 d is the most: "
                "rotate-key MAIL_KEY prod",
            )
        )
    ]


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        ((version("KEY", 1, 89.9),), False),
        ((version("KEY", 1, 90.1),), True),
        ((version("KEY", 1, 120), version("KEY", 2, 10), version("KEY", 3, 1, again=1)), True),
        ((version("KEY", 2, 10), version("KEY", 3, 1, again=1)), False),
    ],
    ids=["young", "old", "what came back is as old as it was", "where that is still known"],
)
def test_what_counts_is_the_age_of_the_value(versions: tuple[Secret, ...], said: bool):
    told = Asked(Kept({"KEY": versions}), {"KEY": {"max_age_days": 90}}).told()
    assert isinstance(told[-1], Answered) is said, told


def test_where_nothing_is_old_it_is_silent():
    for kept in ({}, {"KEY": (version("KEY", 1, 1),)}):
        told = Asked(Kept(kept), {"KEY": {"max_age_days": 90}}).told()
        assert told == [Done("no key of prod is older than it may be")]


def test_it_changes_nothing_and_the_clock_may_say_it():
    command = read(remind)
    assert (command.name, command.permission, command.changes) == ("remind", "status", False)
