"""A real Bolt app behind signed HTTP: signatures, acks with text, retries, forged requests."""

from __future__ import annotations

import time
from typing import Any

from tests.lab.slack import Slack
from tests.lab.slack.boltbot import BoltBot


def test_commands_clicks_and_events(slack: Slack, bot: BoltBot) -> None:
    @bot.app.command("/deploy")
    async def deploy(ack: Any, body: Any) -> None:
        await ack(f"deploying {body['text']}")

    @bot.app.event("app_mention")
    async def mention(event: Any, say: Any) -> None:
        await say("hello", thread_ts=event["ts"])

    bot.listen()
    delivery = slack.command("U0ADA", "/deploy", "prod ‘master’ & more")
    assert (delivery.via, delivery.status, delivery.acked) == ("http", 200, True)
    assert slack.ephemerals("U0ADA")[0].text == "deploying prod ‘master’ & more"
    assert slack.mention("U0ADA", "C0PROD", "status").acked
    slack.wait(lambda: slack.messages("C0PROD")[0].replies)


def test_signatures(slack: Slack, bot: BoltBot) -> None:
    bot.listen()
    body = b"command=%2Fdeploy&user_id=U0ADA"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    old = slack.sign(body, int(time.time()) - 600)
    assert slack.request("", body, form | slack.sign(body))[0] == 404  # no listener: signature held
    assert slack.request("", body + b"x", form | slack.sign(body))[0] == 401
    assert slack.request("/slack/events", body, form | old)[0] == 401
    assert slack.request("/slack/events", body, form)[0] == 401


def test_a_replay_has_the_same_bytes(slack: Slack, bot: BoltBot) -> None:
    @bot.app.command("/deploy")
    async def deploy(ack: Any, body: Any) -> None:
        bot.seen.append(body["trigger_id"])
        await ack()

    bot.listen()
    first = slack.command("U0ADA", "/deploy")
    second = slack.replay(first)
    assert (second.body, second.headers) == (first.body, first.headers)
    assert bot.seen == [first.trigger_id] * 2


def test_nobody_there(slack: Slack) -> None:
    slack.events_url = f"http://{slack.address}:9/slack/events"
    assert slack.command("U0ADA", "/deploy").error == "dispatch_failed"
