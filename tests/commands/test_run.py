"""What `run` may run, and how its words are read."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

import commands
from bot.adapters.aws.records import Instance
from bot.adapters.records import Ran
from bot.command import find
from bot.config import App, Config
from bot.errors import Misunderstood, Refused
from bot.parse import parse
from commands.run import allowed, end

KNOWN = find(commands)
USUAL = App(repository="r").run
HOST = Instance("i-1", "prodmanager1", "prod", "manager", "127.0.0.9", "running")
CONFIG = Config.model_validate(
    {
        "app": {"repository": "r"},
        "types": {"web": {}, "manager": {}},
        "environments": {"prod": {"channel": "C0PROD"}},
    }
)


@pytest.mark.parametrize(
    ("typed", "patterns", "argv"),
    [
        ("migrate --list", USUAL, "manage.py migrate --list"),
        ("manage.py migrate", USUAL, "manage.py migrate"),
        ("fix.py 3", ("fix.py ?", "manage.py *"), "fix.py 3"),
        ("migrate", ("manage.py migrate",), "manage.py migrate"),
        ("clear cache", ("manage.py clear *",), "manage.py clear cache"),
        ("clear", ("manage.py clear *",), "manage.py clear"),
        ("loadfoo", ("manage.py load*",), "manage.py loadfoo"),
    ],
)
def test_it_may_be_run(typed: str, patterns: tuple[str, ...], argv: str):
    assert allowed(shlex.split(typed), patterns) == tuple(shlex.split(argv))


@pytest.mark.parametrize(
    ("typed", "patterns"),
    [
        ("shell", USUAL),
        ("shell -c 'import os'", USUAL),
        ("shell_plus", USUAL),
        ("manage.py dbshell", USUAL),
        ("migrate now", ("manage.py migrate",)),
        ("flush", ("manage.py migrate *",)),
        ("-c 'print(1)'", ("manage.py migrate *",)),
        ("anything", ()),
        ("'manage.py migrate'", ("manage.py migrate",)),
    ],
)
def test_it_may_not_be_run(typed: str, patterns: tuple[str, ...]):
    with pytest.raises(Refused, match="may not be run"):
        allowed(shlex.split(typed), patterns)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), min_size=1))
def test_words_come_through_as_they_were_quoted(words: list[str]):
    line = f"run prod --on web -- {shlex.join(words)}"
    if len(line) > 2000 or "\0" in line:
        return
    call = parse(line, KNOWN, CONFIG)
    assert call.arguments["command"] == tuple(words)
    assert call.arguments["on"] == "web"
    again = parse(call.line, KNOWN, CONFIG)
    assert (again.arguments, again.line) == (call.arguments, call.line)


def test_what_a_phone_makes_of_it():
    call = parse("run prod — migrate “two words” —fake", KNOWN, CONFIG)
    assert call.arguments["command"] == ("migrate", "two words", "--fake")
    exact = parse("run prod -- bark '“so”' —x", KNOWN, CONFIG)
    assert exact.arguments["command"] == ("bark", "“so”", "—x")


@pytest.mark.parametrize("line", ["run prod", "run prod --", "run prod -- 'open", "run -- migrate"])
def test_what_is_not_understood(line: str):
    with pytest.raises(Misunderstood, match=r"usage: run ENV .*-- COMMAND"):
        parse(line, KNOWN, CONFIG)


@pytest.mark.parametrize(
    ("ran", "said"),
    [
        (Ran("ended", 0), "migrate ended well on prodmanager1, after 3 s"),
        (Ran("ended", 2), "migrate on prodmanager1 ended with status 2, after 3 s"),
        (Ran("ended", -9), "migrate on prodmanager1 was ended by signal 9, after 3 s"),
        (Ran("expired"), "migrate on prodmanager1 ran for 1 min and was ended"),
        (Ran("unreachable", detail="no route"), "reaching prodmanager1: no route"),
    ],
)
def test_how_it_ended_is_said(ran: Ran, said: str):
    assert getattr(end(ran, "migrate", HOST, 60.0, "3 s"), "text", "") == said
