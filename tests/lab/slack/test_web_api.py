"""The Web API, called with Slack's own client: what it does, and what it says no to."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from tests.lab.slack import Slack

SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "*prod* is live"}}


def refused(method: Any, **args: Any) -> str:
    with pytest.raises(SlackApiError) as caught:
        method(**args)
    return str(caught.value.response["error"])


def test_posts_edits_and_threads(slack: Slack, client: WebClient) -> None:
    root = client.chat_postMessage(channel="C0PROD", text="going", blocks=[SECTION])
    client.chat_postMessage(channel="C0PROD", text="prodweb1 done", thread_ts=root["ts"])
    client.chat_update(channel="C0PROD", ts=root["ts"], text="done")
    message = slack.messages("C0PROD")[0]
    assert message.text == "done"
    assert message.blocks == []  # text without blocks drops them
    assert message.edits[0].blocks[0]["text"]["text"] == "*prod* is live"
    assert [reply.text for reply in message.replies] == ["prodweb1 done"]
    assert "packlead (edited 1 times): done" in slack.transcript("C0PROD")


def test_update_says_no(slack: Slack, client: WebClient) -> None:
    ts = client.chat_postMessage(channel="C0PROD", text="going")["ts"]
    slack.say("U0ADA", "C0PROD", "hello")
    theirs = slack.messages("C0PROD")[-1].ts
    update = client.chat_update
    assert refused(update, channel="C0PROD", ts=ts, text="x" * 4001) == "msg_too_long"
    assert refused(update, channel="C0PROD", ts="1.000001", text="x") == "message_not_found"
    assert refused(update, channel="C0PROD", ts=theirs, text="x") == "cant_update_message"
    assert refused(update, channel="C0NONE", ts=ts, text="x") == "channel_not_found"
    assert refused(update, channel="U0ADA", ts=ts, text="x") == "channel_not_found"
    slack.edit_window = 0.0
    assert refused(update, channel="C0PROD", ts=ts, text="x") == "edit_window_closed"


def test_post_says_no(slack: Slack, client: WebClient) -> None:
    post = client.chat_postMessage
    assert refused(post, channel="C0RANDOM", text="x") == "not_in_channel"
    assert refused(post, channel="C0NONE", text="x") == "channel_not_found"
    assert refused(post, channel="C0PROD") == "no_text"
    ts = post(channel="C0PROD", text="x")["ts"]
    reply = post(channel="C0PROD", text="y", thread_ts=ts)["ts"]
    assert refused(post, channel="C0PROD", text="z", thread_ts=reply) == "cannot_reply_to_message"
    too_much = [SECTION | {"text": {"type": "mrkdwn", "text": "x" * 3000}}] * 5
    assert refused(post, channel="C0PROD", text="x", blocks=too_much) == "msg_blocks_too_long"


def test_invalid_blocks_are_answered_like_slack_does(slack: Slack, client: WebClient) -> None:
    bad = {"type": "section", "text": {"type": "mrkdwn", "text": ""}}
    with pytest.raises(SlackApiError) as caught:
        client.chat_postMessage(channel="C0PROD", text="x", blocks=[SECTION, bad])
    answer = caught.value.response
    assert answer["error"] == "invalid_blocks"
    assert answer["response_metadata"]["messages"] == [
        "[ERROR] must be more than 0 characters [json-pointer:/blocks/1/text/text]"
    ]
    assert slack.refused[0].where == "chat.postMessage"
    assert slack.messages("C0PROD") == []
    assert refused(client.chat_postMessage, channel="C0PROD", text="x", blocks="{}") == (
        "invalid_blocks_format"
    )


def test_notes_missing_text_and_loud_mentions(slack: Slack, client: WebClient) -> None:
    client.chat_postMessage(channel="C0PROD", blocks=[SECTION])
    assert slack.warnings[0].error == "missing_text"
    client.chat_postMessage(channel="C0PROD", text="&lt;!channel&gt; is escaped")
    assert slack.mentions == []
    loud = {"type": "section", "text": {"type": "mrkdwn", "text": "merge <!channel|x> now"}}
    client.chat_postMessage(channel="C0PROD", text="x", blocks=[loud])
    assert [mention.what for mention in slack.mentions] == ["channel"]


def test_tokens(slack: Slack) -> None:
    def call(token: str, method: str = "auth_test") -> str:
        client = WebClient(token=token, base_url=slack.api_url)
        return refused(getattr(client, method))

    assert call("xoxb-other") == "invalid_auth"
    assert call("") == "not_authed"
    assert call(slack.app_token) == "not_allowed_token_type"
    bot = WebClient(token=slack.bot_token, base_url=slack.api_url)
    assert bot.auth_test()["user_id"] == "U0PACKLEAD"
    assert refused(bot.apps_connections_open, app_token=slack.bot_token) == "not_allowed_token_type"
    assert refused(bot.api_call, api_method="chat.shout") == "unknown_method"


def test_ephemerals(slack: Slack, client: WebClient) -> None:
    client.chat_postEphemeral(channel="C0PROD", user="U0BOB", text="you may not")
    assert [message.text for message in slack.ephemerals("U0BOB")] == ["you may not"]
    assert slack.ephemerals("U0ADA") == []
    assert slack.messages("C0PROD") == []
    outside = client.chat_postEphemeral
    assert refused(outside, channel="C0PROD", user="U0GONE", text="x") == "user_not_in_channel"


def test_the_directory(slack: Slack, client: WebClient) -> None:
    assert client.users_info(user="U0GUEST")["user"]["is_ultra_restricted"] is True
    stranger = client.users_info(user="U0STRANGER")["user"]
    assert (stranger["is_stranger"], stranger["team_id"]) == (True, "T0OTHER")
    assert client.users_info(user="U0GONE")["user"]["deleted"] is True
    assert refused(client.users_info, user="U0NOBODY") == "user_not_found"
    assert client.usergroups_users_list(usergroup="S0OPS")["users"] == ["U0ADA"]
    assert client.usergroups_list()["usergroups"][0]["handle"] == "ops-people"
    assert client.conversations_info(channel="C0PROD")["channel"]["name"] == "prod"
    assert client.conversations_open(users="U0ADA")["channel"]["id"] == "D0ADA"
    names = [one["name"] for page in client.users_list(limit=3) for one in page["members"]]
    assert len(names) == 8
    assert "stranger" not in names


def test_direct_messages_by_user_id(slack: Slack, client: WebClient) -> None:
    answer = client.chat_postMessage(channel="U0BOB", text="psst")
    assert answer["channel"] == "D0BOB"
    assert slack.messages("D0BOB")[0].text == "psst"


def test_reactions_permalinks_and_deleting(slack: Slack, client: WebClient) -> None:
    ts = client.chat_postMessage(channel="C0PROD", text="x")["ts"]
    client.reactions_add(channel="C0PROD", timestamp=ts, name="eyes")
    again = refused(client.reactions_add, channel="C0PROD", timestamp=ts, name="eyes")
    assert again == "already_reacted"
    assert slack.message("C0PROD", ts).reactions == {"eyes": ["U0PACKLEAD"]}
    client.reactions_remove(channel="C0PROD", timestamp=ts, name="eyes")
    link = client.chat_getPermalink(channel="C0PROD", message_ts=ts)["permalink"]
    assert link.endswith(f"/archives/C0PROD/p{ts.replace('.', '')}")
    assert urllib.request.urlopen(link).status == 200
    client.chat_delete(channel="C0PROD", ts=ts)
    assert slack.messages("C0PROD") == []


def test_files(slack: Slack, client: WebClient) -> None:
    client.files_upload_v2(channel="C0PROD", filename="log.txt", content="all of it", title="Log")
    file = slack.messages("C0PROD")[0].files[0]
    assert file["title"] == "Log"
    assert urllib.request.urlopen(file["url_private"]).read() == b"all of it"


def test_read_methods_do_not_look_at_json(slack: Slack) -> None:
    request = urllib.request.Request(
        f"{slack.api_url}users.info",
        json.dumps({"user": "U0ADA"}).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {slack.bot_token}"},
    )
    assert json.load(urllib.request.urlopen(request))["error"] == "user_not_found"
