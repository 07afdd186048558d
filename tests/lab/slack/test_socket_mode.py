"""A real Bolt app in Socket Mode: commands, mentions, buttons, forms, lost connections."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.lab.slack import Slack
from tests.lab.slack.boltbot import BoltBot

CARD: list[dict[str, Any]] = [
    {"type": "section", "text": {"type": "mrkdwn", "text": "deploying"}},
    {
        "type": "actions",
        "block_id": "ctl",
        "elements": [
            {
                "type": "button",
                "action_id": "cancel",
                "value": "op-1",
                "text": {"type": "plain_text", "text": "Cancel"},
            }
        ],
    },
]
FORM = {
    "type": "modal",
    "callback_id": "why",
    "title": {"type": "plain_text", "text": "Why"},
    "submit": {"type": "plain_text", "text": "Send"},
    "blocks": [
        {
            "type": "input",
            "block_id": "reason",
            "label": {"type": "plain_text", "text": "Reason"},
            "element": {"type": "plain_text_input", "action_id": "text"},
        }
    ],
}


def test_a_command_is_acked_and_answered(slack: Slack, bot: BoltBot) -> None:
    @bot.app.command("/deploy")
    async def deploy(ack: Any, body: Any) -> None:
        bot.seen.append(body)
        await ack(f"deploying {body['text']}")

    bot.connect()
    delivery = slack.command("U0ADA", "/deploy", "prod master", channel="C0PROD")
    assert delivery.acked
    assert delivery.answer == {"text": "deploying prod master"}
    assert bot.seen[0]["trigger_id"] == delivery.trigger_id
    assert bot.seen[0]["team_id"] == "T0LAB"
    assert slack.ephemerals("U0ADA")[0].text == "deploying prod master"
    assert slack.messages("C0PROD") == []


def test_without_an_ack_the_person_is_told(slack: Slack, bot: BoltBot) -> None:
    assert slack.command("U0ADA", "/deploy").error == "dispatch_failed"

    @bot.app.command("/deploy")
    async def deploy(ack: Any) -> None:
        await asyncio.sleep(0.3)
        await ack()

    bot.connect()
    slack.ack_seconds = 0.1
    delivery = slack.command("U0ADA", "/deploy")
    assert (delivery.acked, delivery.error) == (False, "operation_timeout")
    assert "operation_timeout" in slack.ephemerals("U0ADA")[-1].text
    assert slack.wait(lambda: delivery.late or 0.0) > 0.1


def test_a_mention_is_answered_in_its_thread(slack: Slack, bot: BoltBot) -> None:
    @bot.app.event("app_mention")
    async def mention(event: Any, say: Any) -> None:
        await say(f"you said {event['text']}", thread_ts=event.get("thread_ts") or event["ts"])

    bot.connect()
    assert slack.mention("U0ADA", "C0PROD", "status").acked
    slack.wait(lambda: slack.messages("C0PROD")[0].replies)
    root = slack.messages("C0PROD")[0]
    assert root.replies[0].text == "you said <@U0PACKLEAD> status"
    slack.mention("U0BOB", "C0PROD", "@packlead cancel", thread_ts=root.ts)
    slack.wait(lambda: len(slack.messages("C0PROD")[0].replies) == 3)


def test_direct_messages_need_no_mention(slack: Slack, bot: BoltBot) -> None:
    @bot.app.event("message")
    async def message(event: Any) -> None:
        bot.seen.append((event["channel_type"], event["text"]))

    bot.connect()
    slack.say("U0ADA", "D0ADA", "status <prod>")
    slack.wait(lambda: bot.seen)
    assert bot.seen == [("im", "status &lt;prod&gt;")]


def test_events_are_tried_again(slack: Slack, bot: BoltBot) -> None:
    slack.retry_after = (0.01, 0.01, 0.01)
    slack.ack_seconds = 1

    @bot.app.event("app_mention")
    async def mention() -> None: ...

    @bot.app.middleware
    async def slow(req: Any, next: Any) -> None:
        bot.seen.append(req.headers.get("x-slack-retry-num"))
        if len(bot.seen) < 3:
            await asyncio.sleep(2)
        await next()

    bot.connect()
    delivery = slack.mention("U0ADA", "C0PROD", "status")
    assert not delivery.acked
    slack.wait(lambda: delivery.acked)
    assert delivery.attempts == 3
    assert bot.seen[1:] == [["1"], ["2"]]


def test_a_button_is_pressed_and_the_message_replaced(slack: Slack, bot: BoltBot) -> None:
    @bot.app.action("cancel")
    async def cancel(ack: Any, body: Any, respond: Any) -> None:
        await ack()
        bot.seen.append(body)
        await respond(text="cancelled", replace_original=True)

    bot.connect()
    ts = bot._do(bot.app.client.chat_postMessage(channel="C0PROD", text="x", blocks=CARD))["ts"]
    assert [button.label for button in slack.message("C0PROD", ts).buttons] == ["Cancel"]
    delivery = slack.click("U0BOB", ts, "cancel")
    assert delivery.acked
    slack.wait(lambda: slack.message("C0PROD", ts).text == "cancelled")
    assert bot.seen[0]["actions"][0]["value"] == "op-1"
    assert bot.seen[0]["message"]["ts"] == ts
    assert bot.seen[0]["user"]["id"] == "U0BOB"
    with pytest.raises(LookupError, match="nothing"):
        slack.click("U0BOB", ts, "cancel")
    assert slack.click("U0BOB", ts, "cancel", stale=True).acked


def test_a_form_is_opened_corrected_and_sent(slack: Slack, bot: BoltBot) -> None:
    @bot.app.command("/why")
    async def why(ack: Any, body: Any, client: Any) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=FORM)

    @bot.app.view("why")
    async def given(ack: Any, view: Any) -> None:
        text = view["state"]["values"]["reason"]["text"]["value"]
        bot.seen.append(text)
        if text == "no":
            await ack(response_action="errors", errors={"reason": "say more"})
        else:
            await ack()

    bot.connect()
    slack.command("U0ADA", "/why")
    slack.wait(lambda: slack.views("U0ADA"))
    with pytest.raises(ValueError, match="filled in"):
        slack.submit("U0ADA")
    slack.submit("U0ADA", {"text": "no"})
    assert slack.views("U0ADA")[0]["errors"] == {"reason": "say more"}
    slack.submit("U0ADA", {"reason": "it is late"})
    assert slack.views("U0ADA") == []
    assert bot.seen == ["no", "it is late"]


def test_a_hundred_at_once_over_three_connections(slack: Slack, bot: BoltBot) -> None:
    @bot.app.command("/deploy")
    async def deploy(ack: Any) -> None:
        await ack()

    bot.connect(3)
    done = slack.commands([("U0ADA", "/deploy", str(n), "C0PROD") for n in range(100)])
    assert all(delivery.acked for delivery in done)
    assert slack.connections == 3


def test_an_eleventh_connection_is_sent_away(slack: Slack, bot: BoltBot) -> None:
    bot.connect(10)
    with pytest.raises(AssertionError):
        bot._do(bot._connect())
        slack.wait(lambda: slack.connections > 10, timeout=0.3)


@pytest.mark.parametrize("how", ["close", "reset", "refresh"])
def test_lost_connections_come_back(slack: Slack, bot: BoltBot, how: str) -> None:
    @bot.app.command("/deploy")
    async def deploy(ack: Any) -> None:
        await ack()

    bot.connect()
    opened = slack.connections_opened
    slack.drop_sockets(how)
    slack.wait(lambda: slack.connections_opened > opened, what="another connection")
    slack.wait(lambda: slack.command("U0ADA", "/deploy").acked)


def test_the_same_delivery_twice(slack: Slack, bot: BoltBot) -> None:
    @bot.app.command("/deploy")
    async def deploy(ack: Any, body: Any) -> None:
        bot.seen.append(body["trigger_id"])
        await ack()

    bot.connect()
    first = slack.command("U0ADA", "/deploy")
    second = slack.replay(first)
    assert second.acked
    assert second.envelope_id == first.envelope_id
    assert bot.seen == [first.trigger_id] * 2  # Bolt dedupes nothing: that is the app's affair


def test_waiting_in_vain_shows_what_there_is(slack: Slack) -> None:
    slack.say("U0ADA", "C0PROD", "hello")
    with pytest.raises(AssertionError, match="ada: hello"):
        slack.wait(lambda: slack.messages("C0OPS"), timeout=0.05)
