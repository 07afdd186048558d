"""How the front begins and ends."""

import socket
import threading

import pytest

from bot.config import Config
from bot.errors import Misconfigured
from bot.fronts.slack_send import proxy_for
from tests.lab.slack import Slack
from tests.waiting import until


def test_all_that_is_missing_is_said(launch):
    with pytest.raises(Misconfigured) as told:
        launch(SLACK_BOT_TOKEN="", SLACK_APP_TOKEN="xoxb-wrong")
    assert "SLACK_BOT_TOKEN" in told.value.text and "SLACK_SIGNING_SECRET" in told.value.text


@pytest.mark.parametrize(("port", "said"), [("http", "no port"), ("70000", "no port")])
def test_a_port_that_is_none(launch, port: str, said: str):
    with pytest.raises(Misconfigured, match=said):
        launch(PORT=port)


def test_a_port_that_is_taken(launch):
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(Misconfigured, match="listening on"),
    ):
        launch(PORT=str(taken.getsockname()[1]))


def test_a_token_that_slack_does_not_take(launch, slack: Slack):
    with pytest.raises(Misconfigured, match="SLACK_BOT_TOKEN"):
        launch(SLACK_BOT_TOKEN="xoxb-wrong")


def test_a_token_of_another_workspace(launch, slack: Slack, config: Config, store, dispatcher):
    other = config.model_copy(update={"slack": config.slack.model_copy(update={"team": "T0ELSE"})})
    from tests.fronts.conftest import Running

    environ = {
        "SLACK_API_URL": slack.api_url, "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
    }  # fmt: skip
    with pytest.raises(Misconfigured, match="workspace T0LAB"):
        Running(other, store, dispatcher, environ).start()


def test_slack_may_be_away_at_the_start(launch, slack: Slack):
    fault = slack.fault("*", "503", seconds=60)
    running = launch(wait=False)
    slack.wait(lambda: len(slack.calls) >= 2)
    fault.clear()
    slack.wait_connected()
    assert running.failure is None
    slack.wait(lambda: slack.command("U0ADA", "/packlead", "help").acked)


def test_variables_of_an_oauth_app_change_nothing(launch, slack: Slack, monkeypatch):
    monkeypatch.setenv("SLACK_CLIENT_ID", "1.2")
    monkeypatch.setenv("SLACK_CLIENT_SECRET", "secret")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    launch()
    assert slack.command("U0ADA", "/packlead", "help").acked


def test_no_proxy_is_heeded():
    environ = {"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "127.0.0.1,.example.org"}
    assert proxy_for("https://slack.com/api/", environ) == "http://proxy:1"
    assert proxy_for("https://slack.example.org/api/", environ) == ""
    assert proxy_for("http://127.0.0.1:3/api/", environ) == ""


def test_stopping_answers_what_was_heard(launch, slack: Slack, store):
    running, slack.ack_seconds = launch(), 10

    def stop() -> None:
        until(store.history, "the first of them is heard")
        running.stop()

    stopping = threading.Thread(target=stop)
    stopping.start()
    told = slack.commands([("U0ADA", "/deploy", "prod master", "C0OPS")] * 40)
    stopping.join()
    recorded = {o.id for o in store.history(limit=100)}
    accepted = [d for d in told if d.acked and "accepted as #" in d.answer["text"]]
    assert len(recorded) == len(accepted), "recorded without an answer"
