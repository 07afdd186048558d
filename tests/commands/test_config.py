"""The list of keys: of one environment, or of each that somebody may see."""

from __future__ import annotations

from typing import Any

import pytest

from bot.adapters.aws.records import Secret
from bot.config import Config
from bot.errors import Misunderstood
from bot.parse import parse
from commands.config import config as command


class Work:
    """A job that may see the keys of one environment."""

    def __init__(self, config: Config) -> None:
        self.config, self.secrets = config, self

    def may(self, _permission: str, environment: str) -> bool:
        return environment == "puppystream"

    def now(self) -> float:
        return 100.0

    def keys(self, environment: str) -> tuple[Secret, ...]:
        assert environment == "puppystream", "of the other it is not even asked"
        return (Secret("TWITTER_KEY", 3, 40.0, "ada", "ab12cd"),)


def test_without_an_environment_those_of_each_are_listed(config: Config, known: Any):
    call = parse("config", known, config)
    [told] = command(Work(config), **call.arguments)
    assert told.table and told.lines == (
        "puppystream:", "  TWITTER_KEY  version 3  1 min old  ada  ab12cd",
    )  # fmt: skip


def test_what_changes_a_key_names_its_environment(config: Config, known: Any):
    call = parse("config --set --generate", known, config)
    with pytest.raises(Misunderstood, match=r"which ENV\?"):
        list(command(Work(config), **call.arguments))
