"""Misbehaviour on command, seen through Slack's own client and its default retries."""

from __future__ import annotations

import time
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from tests.lab.slack import Slack

PLAN = {
    "type": "plan",
    "title": "Deploying",
    "tasks": [{"type": "task_card", "task_id": "a", "title": "Build", "status": "pending"}],
}
SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "deploying"}}


def test_busy(slack: Slack, client: WebClient) -> None:
    slack.fault("chat.postMessage", "429", times=2, retry_after=7)
    for _ in range(2):
        with pytest.raises(SlackApiError) as caught:
            client.chat_postMessage(channel="C0PROD", text="x")
        assert caught.value.response.headers["retry-after"] == "7"
    client.chat_postMessage(channel="C0PROD", text="x")
    assert [call.status for call in slack.calls] == [429, 429, 200]


def test_broken_for_a_while(slack: Slack, client: WebClient) -> None:
    fault = slack.fault("*", "503", seconds=60)
    with pytest.raises(SlackApiError):
        client.chat_postMessage(channel="C0PROD", text="x")
    fault.clear()
    client.chat_postMessage(channel="C0PROD", text="x")
    assert fault.count == 1


def test_lost_is_done_all_the_same(slack: Slack, client: WebClient) -> None:
    slack.fault("chat.postMessage", "lost")
    client.chat_postMessage(channel="C0PROD", text="x")  # the SDK posts it again by itself
    assert len(slack.messages("C0PROD")) == 2


def test_dropped_is_not_done(slack: Slack) -> None:
    slack.fault("chat.postMessage", "dropped")
    client = WebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])
    with pytest.raises(OSError):
        client.chat_postMessage(channel="C0PROD", text="x")
    assert slack.messages("C0PROD") == []


@pytest.mark.parametrize(("kind", "there"), [("before", 0), ("after", 1)])
def test_somebody_is_called_before_or_after_it_is_done(slack: Slack, kind: str, there: int) -> None:
    seen: list[int] = []
    fault = slack.fault(
        "chat.postMessage", kind, match=lambda args: args["text"] == "the end",
        call=lambda: seen.append(len(slack.messages("C0PROD"))),
    )  # fmt: skip
    client = WebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])
    client.chat_postMessage(channel="C0PUPPY", text="the beginning")
    assert not fault.count, "another message is not met"
    with pytest.raises(OSError):
        client.chat_postMessage(channel="C0PROD", text="the end")
    assert seen == [there] == [len(slack.messages("C0PROD"))]
    assert slack.calls[-1].fault == kind
    client.chat_postMessage(channel="C0PROD", text="the end")


def test_slow(slack: Slack, client: WebClient) -> None:
    slack.fault("chat.postMessage", "slow", seconds=0.2)
    since = time.monotonic()
    client.chat_postMessage(channel="C0PROD", text="x")
    assert time.monotonic() - since >= 0.2
    assert slack.calls[0].seconds >= 0.2


def test_chosen_blocks_are_refused(slack: Slack, client: WebClient) -> None:
    slack.fault("*", "invalid_blocks", types=("plan",))
    with pytest.raises(SlackApiError) as caught:
        client.chat_postMessage(channel="C0PROD", text="x", blocks=[SECTION, PLAN])
    assert caught.value.response["error"] == "invalid_blocks"
    client.chat_postMessage(channel="C0PROD", text="x", blocks=[SECTION])
    slack.clear_faults()
    client.chat_postMessage(channel="C0PROD", text="x", blocks=[SECTION, PLAN])


def test_any_error_of_slack(slack: Slack, client: WebClient) -> None:
    slack.fault("chat.update", "error", error="edit_window_closed")
    with pytest.raises(SlackApiError, match="edit_window_closed"):
        client.chat_update(channel="C0PROD", ts="1.1", text="x")


def test_away_altogether_and_back(slack: Slack) -> None:
    client = WebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])
    app = WebClient(token=slack.app_token, base_url=slack.api_url, retry_handlers=[])
    link = app.apps_connections_open(app_token=slack.app_token)["url"]
    slack.leave("refused")
    with pytest.raises(OSError, match="refused"):
        client.auth_test()
    slack.leave("503")
    with pytest.raises(SlackApiError) as caught:
        client.auth_test()
    assert caught.value.response.status_code == 503
    with pytest.raises(HTTPError, match="503"):
        urlopen(link.replace("ws://", "http://"))
    assert not slack.command("U0ADA", "/deploy", "prod").acked, "nobody is there to hear it"
    slack.come_back()
    assert client.auth_test()["ok"]


def test_some_of_many(slack: Slack, client: WebClient) -> None:
    dice = iter([True, False, True])
    slack.fault("chat.postMessage", "503", times=100, chance=lambda: next(dice))
    for refused in (True, False, True):
        try:
            client.chat_postMessage(channel="C0PROD", text="x")
        except SlackApiError:
            assert refused
        else:
            assert not refused
