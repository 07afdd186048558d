"""Somebody types a secret in Slack: they alone are warned, and it is nowhere afterwards."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from bot.dispatcher import Dispatcher
from bot.events import Done, Typed
from bot.fronts import terminal
from bot.fronts.slack_payloads import click
from bot.store import Store
from tests.fronts.conftest import Running, Worker
from tests.fronts.test_sessions import opened, typed
from tests.lab.slack import Slack

TOKEN = "xoxb-" + "3141592653589-canary"
PASSWORD = "hunter2-canary"
BOT = "U0PACKLEAD"


def test_wherever_it_is_typed(
    strict: Slack,
    running: Running,
    store: Store,
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.DEBUG, "bot")
    answer = strict.command("U0ADA", "/deploy", f"prod {TOKEN}").answer
    assert "that seems to hold a Slack token: nothing was done with it" in answer["text"]
    assert "delete your message" in answer["text"]
    answer = strict.command("U0ADA", "/lock", f"prod 1h the password is {PASSWORD}").answer
    assert "seems to hold a password" in answer["text"]
    mention = strict.mention("U0ADA", "C0PROD", f"rotate-key TWITTER_KEY=ab{TOKEN[9:]} prod")
    inside = strict.mention("U0ADA", "C0PROD", f"look here: {TOKEN}")
    direct = strict.say("U0ADA", "D0ADA", f"TWITTER_KEY={PASSWORD}")
    stranger = strict.say("U0BOB", "D0BOB", f"my password is {PASSWORD}")
    assert all(one and one.acked for one in (mention, inside, direct, stranger))
    strict.wait(lambda: told(strict, "U0BOB"), what="bob is warned")
    strict.wait(lambda: len(told(strict, "U0ADA")) >= 5, what="ada is warned each time")
    whispers = [*told(strict, "U0ADA"), *told(strict, "U0BOB")]
    assert all("seems to hold" in text for text in whispers)
    said = [*whispers, caplog.text, public(strict)]
    assert store.history() == []
    for text in said:
        lines = [line for line in text.splitlines() if "canary" in line]
        assert not lines, f"repeated: {lines}"
    assert not held(Path(store.url.removeprefix("sqlite:///")))


def test_lines_of_an_open_shell_pass(strict: Slack, running: Running, worker: Worker, store: Store):
    operation = opened(strict, worker, store)
    line = "user.set_password('swordfish-canary'); API_KEY = 'abcdef'"
    strict.say("U0ADA", "D0ADA", line)
    strict.wait(lambda: store.entries(operation.id)[-1].event == Typed("ada", ""), what="the line")
    assert not held(Path(store.url.removeprefix("sqlite:///"))), "it is sealed from the beginning"
    strict.wait(lambda: typed(store, operation) == [line], what="the shell gets it")
    worker.end(operation, Done("it ended"), "done")
    strict.wait(lambda: store.note("slack", operation.id).get("finished"), 20, "the end")


def test_what_a_button_says_passes():
    """Its line was looked at when somebody typed it, and its token is made to be random."""
    value = "approve 12 aB3dE6gH9kLmN2pQ5sT8"
    heard = click({"actions": [{"type": "button", "value": value, "action_id": "yes"}]})
    assert heard and heard.pressed


def test_in_a_terminal(dispatcher: Dispatcher, store: Store, capsys: pytest.CaptureFixture[str]):
    line = f"run prod -- manage.py settoken {TOKEN}"
    assert terminal.run(line, dispatcher, store, lambda: False) == 1
    out, errors = capsys.readouterr()
    assert "that seems to hold a Slack token: nothing was done with it" in errors
    assert "your shell's history may keep the line" in errors
    assert "canary" not in out + errors
    assert store.history() == [] and not held(Path(store.url.removeprefix("sqlite:///")))


def told(slack: Slack, user: str) -> list[str]:
    direct = [m for m in slack.messages(f"D0{user[2:]}") if m.user == BOT]
    return [m.wording for m in (*slack.ephemerals(user), *direct)]


def public(slack: Slack) -> str:
    return "\n".join(m.wording for m in slack.messages("C0PROD") if m.user == BOT)


def held(database: Path) -> list[str]:
    files = database.parent.glob(f"{database.name}*")
    return [file.name for file in files if b"canary" in file.read_bytes()]
