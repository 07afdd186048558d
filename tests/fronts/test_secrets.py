"""Packlead's own secrets while everything goes wrong: in no log, file, message, page or child.

A real `packlead up` whose log tells all it can (LOG_LEVEL=DEBUG, as JSON); git, AWS and GitHub
answer nothing that makes sense, and Slack now and then does not take the token.
"""

from __future__ import annotations

import json
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.links import Links
from tests.e2e.process import Bot, Packlead
from tests.lab.slack import Slack

CONFIG = """
data = {data}
[app]
repository = "ssh://nobody@127.0.0.1/app.git"
[slack]
team = "T0LAB"
[github]
repository = "lab/kennel"
service = "ada"
[types.web]
[environments.prod]
channel = "C0PROD"
auto = "master"
ci = "required"
[people.ada]
slack = "U0ADA"
github = "ada"
[[permissions]]
who = ["ada"]
may = ["*"]
"""
CHILD = ("GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")  # what git may have


@pytest.fixture
def secrets(slack: Slack) -> dict[str, str]:
    """Each of a value that no other text holds."""
    return {
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
        "SLACK_SIGNING_SECRET": slack.signing_secret,
        "GITHUB_TOKEN": "canary60githubtoken",
        "GITHUB_WEBHOOK_SECRET": "canary61webhooksecret",
        "PACKLEAD_DEPLOYS_SECRET": "canary62deployssecret",
        "PACKLEAD_METRICS_TOKEN": "canary63metricstoken",
        "PACKLEAD_KEY": "canary64keyofthehouse0123456789abcdef",
        "AWS_SECRET_ACCESS_KEY": "canary65awssecret",
        "AWS_SESSION_TOKEN": "canary66awssession",
    }


@pytest.fixture
def env(tmp_path: Path, slack: Slack, secrets: dict[str, str]) -> dict[str, str]:
    file = tmp_path / "packlead.toml"
    file.write_text(CONFIG.format(data=json.dumps(str(tmp_path / "data"))))
    nowhere = slack.page_url.rstrip("/")  # it is neither AWS nor GitHub, and answers so
    return secrets | {
        "PACKLEAD_CONFIG": str(file), "PORT": "0", "LOG_LEVEL": "DEBUG", "LOG_FORMAT": "json",
        "SLACK_API_URL": slack.api_url, "GITHUB_API_URL": nowhere, "AWS_ENDPOINT_URL": nowhere,
        "AWS_ACCESS_KEY_ID": "AKIALAB", "AWS_DEFAULT_REGION": "us-east-1",
        "GIT_SSH_COMMAND": f"sh -c 'env > {tmp_path}/child; exit 1'",
    }  # fmt: skip


@pytest.fixture
def bot(env: dict[str, str], tmp_path: Path, slack: Slack) -> Iterator[Bot]:
    bot = Bot(env, tmp_path / "log")
    bot.start()
    slack.events_url = f"{url(bot)}/slack/events"
    yield bot
    bot.stop()


def url(bot: Bot) -> str:
    return str(re.findall(r"listening on (http://[\d.:]+)", bot.log.read_text())[-1])


def pages(bot: Bot, secrets: dict[str, str]) -> Iterator[tuple[str, bytes]]:
    """Yield what is served, to who may see it and to who may not."""
    at = url(bot)
    token = {"Authorization": f"Bearer {secrets['PACKLEAD_METRICS_TOKEN']}"}
    board = Links(secrets["PACKLEAD_KEY"].encode(), at).board(None)
    for path in ("/metrics", "/healthz", "/", "/operations/1", board.removeprefix(at)):
        try:
            asked = urllib.request.Request(at + path, headers=token)
            with urllib.request.urlopen(asked, timeout=60) as answer:
                yield path, answer.read()
        except urllib.error.HTTPError as error:
            yield f"{path}: {error.status}", error.read()


def test_no_secret_is_seen_while_everything_goes_wrong(
    slack: Slack, bot: Bot, secrets: dict[str, str], tmp_path: Path
):
    for how in ("invalid_auth", "token_revoked"):
        slack.fault("chat.postEphemeral", "error", error=how, times=1)
        slack.fault("views.publish", "error", error=how, times=1)
    slack.open_home("U0ADA")
    for line in (
        "/packlead status prod",
        "/deploy prod master",
        "/restart prod",
        "/rotate-key API_KEY prod",
    ):
        name, _, rest = line.partition(" ")
        assert slack.command("U0ADA", name, rest).acked
    form = slack.wait(lambda: slack.views("U0ADA"), what="the form opens")[-1]
    slack.submit("U0ADA", {"value": "canary67keyoftheapp"}, form["id"])
    log = bot.log
    slack.wait((tmp_path / "child").exists, 60, "git asks ssh")
    slack.wait(lambda: '"level": "debug"' in log.read_text(), 10, "the log tells all it can")
    slack.wait(lambda: slack.command("U0ADA", "/history").answer["text"].count("failed") >= 3, 60)

    child = (tmp_path / "child").read_text()
    held = {name: value for name, value in secrets.items() if name not in CHILD}
    found = [f"{name} in what git starts" for name, value in held.items() if value in child]
    places = {str(f): f.read_bytes() for f in (tmp_path / "data").rglob("*") if f.is_file()}
    places |= {"the log": log.read_bytes(), "Slack": slack.transcript().encode()}
    places["calls"] = repr([c.args for c in slack.calls]).encode()
    places["U0ADA alone"] = repr(slack.ephemerals("U0ADA")).encode()
    places |= dict(pages(bot, secrets))
    values = secrets | {"the key of the application": "canary67keyoftheapp"}
    for where, held_there in places.items():
        found += [f"{n} in {where}" for n, v in values.items() if v.encode() in held_there]
    assert not found, "\n".join(found)


@pytest.mark.soak
def test_no_secret_is_told_at_a_start_that_comes_to_nothing(env: dict[str, str]):
    """Tokens that nobody takes, services that are not there, and a database that is away."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        at = f"127.0.0.1:{closed.getsockname()[1]}"
        wrong = env | {
            "SLACK_BOT_TOKEN": "xoxb-canary70bottoken",
            "SLACK_APP_TOKEN": "xapp-canary71apptoken",
            "DATABASE_URL": f"postgresql://packlead:canary72password@{at}/packlead",
        }
        for words in (("check",), ("up",), ("audit", "verify")):
            told = Packlead(wrong, *words).ends(1)
            said = told.out + told.errors
            assert "database" in said and "canary" not in said, f"{words}: {said}"
            assert env["SLACK_SIGNING_SECRET"] not in said
