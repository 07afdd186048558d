"""What was said is held against what was done, and every difference is found."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from slack_sdk import WebClient

from bot.events import Done, HostReport, Note
from bot.schema import operations
from bot.store import Store
from tests.lab.aws import Call
from tests.lab.slack import Slack
from tests.lab.testimony import LATE, MARGIN, effects, framed, thread

MARK = "(said again: Slack's answer to the first time was lost)"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path}/packlead.db")
    yield store
    store.close()


@pytest.fixture
def slack() -> Iterator[Slack]:
    with Slack(rate_limits=False) as slack:
        yield slack


def accepted(store: Store, id: str = "one", environment: str = "prod") -> str:
    one, _ = store.submit(
        id, line=f"deploy {environment}", command="deploy", environment=environment, person="ada",
        front="slack", exclusive=True,
    )  # fmt: skip
    store.begin(one.id)
    store.append(one.id, "1", HostReport("prodweb1", "serves abc1234", "switch web"))
    return one.id


def call(action: str, **params: str) -> Call:
    time.sleep(1.2 * MARGIN)
    made = Call(action, {key.replace("_", "."): value for key, value in params.items()}, 200)
    time.sleep(1.2 * MARGIN)
    return made


def launch(environment: str, operation: str) -> Call:
    tags = {"1_Key": "Env", "1_Value": environment, "2_Key": "Operation", "2_Value": operation}
    return call("RunInstances", **{f"TagSpecification_1_Tag_{k}": v for k, v in tags.items()})


def test_a_thread_says_each_line_of_the_log_once(store: Store, slack: Slack):
    id, client = accepted(store), WebClient(token=slack.bot_token, base_url=slack.api_url)

    def wrong() -> list[str]:
        return [*thread(slack, store, 1, ["C0PROD"])]

    def post(text: str) -> None:
        client.chat_postMessage(channel="C0PROD", text=text, thread_ts=root)

    assert wrong() == ["#1 has 0 cards in Slack"]
    card = "deploy prod by ada  ·  #1  ·  running"
    root = client.chat_postMessage(channel="C0PROD", text=card)["ts"]
    store.append(id, "2", Note("two hosts to go"))
    store.end(id, "done", Done("prod runs abc1234"))
    assert wrong() == [
        "#1 is done, and its card says 'deploy prod by ada  ·  #1  ·  running'",
        "#1: the log says, and Slack does not: prodweb1 serves abc1234",
        "#1: the log says, and Slack does not: two hosts to go",
        "#1: the log says, and Slack does not: prod runs abc1234",
    ]
    client.chat_update(channel="C0PROD", ts=root, text=card.replace("running", "done"))
    post("prodweb1 serves abc1234\ntwo hosts to go")
    post(f"prod runs abc1234\n{MARK}")
    assert not wrong(), "of the first time nothing came to Slack"
    post("prod runs abc1234")
    assert not wrong(), "it did come, late"
    post("two hosts to go")
    assert wrong() == ["#1: Slack says 2 times, and the log 1: two hosts to go"]
    store.append(id, "3", Note("two hosts to go"))
    assert not wrong(), "it was so twice"
    again = client.chat_postMessage(channel="C0PROD", text=f"deploy  ·  #1  ·  done {MARK}")
    assert not [line for line in wrong() if "cards" in line], "a marked one is no second card"
    client.chat_update(channel="C0PROD", ts=again["ts"], text="deploy  ·  #1  ·  done")
    assert wrong() == ["#1 has 2 cards in Slack"]


def test_every_change_in_aws_is_framed_by_an_intent_and_an_outcome(store: Store):
    id = accepted(store)

    early = call("RunInstances")
    assert [*framed([early], store)] == [
        "RunInstances was asked of AWS, and no intent and outcome are around it"
    ]
    assert not [*framed([call("DescribeInstances")], store)], "a look needs none"
    store.audit.write("intent", id, {"what": "aws.launch"})
    killed = call("RunInstances")
    assert not [*framed([killed], store)], "it goes on"
    store.audit.write("intent", id, {"what": "aws.launch"})
    again, other = call("RunInstances"), call("TerminateInstances")
    store.audit.write("outcome", id, {"what": "aws.launch", "ended": "done"})
    late = call("RunInstances")
    assert not [*framed([killed, again], store)], "it was killed, and did it again"
    assert [line.split()[0] for line in framed([other, late], store)] == [
        "TerminateInstances", "RunInstances",
    ]  # fmt: skip
    store.audit.write("intent", id, {"what": "play deploy.yml"})
    assert not [*framed([call("RegisterTargets")], store)]
    store.end(id, "done", Done("prod runs abc1234"))
    assert [*framed([], store)] == ["the audit never says how play deploy.yml of one ended"]


def test_an_effect_is_framed_by_its_own_operation(store: Store):
    id = accepted(store, "of-qa", "qa")
    store.audit.write("intent", id, {"what": "aws.launch"})
    assert not [*framed([launch("qa", id)], store)]
    none = "was asked of AWS, and no intent and outcome are around it"
    assert [*framed([launch("prod", id)], store)] == [f"RunInstances for prod {none}"]
    assert [*framed([launch("qa", "another")], store)] == [f"RunInstances for qa {none}"]

    store.audit.write("intent", id, {"what": "secrets.put"})
    assert not [*framed([call("PutParameter", Name="/app/qa/KEY")], store)]
    assert [*framed([call("PutParameter", Name="/app/prod/KEY")], store)] == [
        f"PutParameter for prod {none}"
    ]
    store.audit.write("intent", id, {"what": "play deploy.yml"})
    group = "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/{}-web/1"
    assert not [*framed([call("RegisterTargets", TargetGroupArn=group.format("qa"))], store)]
    assert [*framed([call("RegisterTargets", TargetGroupArn=group.format("prod"))], store)] == [
        f"RegisterTargets for prod {none}"
    ]
    store.audit.write("intent", id, {"what": "aws.terminate", "about": ["('i-1', 'i-2')"]})
    assert not [*framed([call("TerminateInstances", InstanceId_1="i-2")], store)]
    assert [*framed([call("TerminateInstances", InstanceId_1="i-3")], store)] == [
        f"TerminateInstances {none}"
    ]


def test_what_packlead_never_asks_of_aws_is_found_in_any_frame(store: Store):
    store.audit.write("intent", accepted(store), {"what": "aws.launch"})
    assert [*framed([call("ModifyInstanceAttribute")], store)] == [
        "ModifyInstanceAttribute was asked of AWS, which Packlead never asks"
    ]


def test_what_nobody_accepted_is_found_whatever_it_does(store: Store):
    accepted(store)
    by_hand = {
        "id": "by-hand", "line": "deploy prod", "command": "deploy", "environment": "prod",
        "person": "eve", "front": "slack", "audience": {}, "audience_kind": "", "parent": "",
        "exclusive": False, "state": "running", "created": time.time(), "started": time.time(),
    }  # fmt: skip
    assert not [*effects([call("RunInstances")], store)], "it is at work"
    store.transact(lambda c: c.execute(operations.insert().values(by_hand)))
    store.audit.write("intent", "by-hand", {"what": "aws.launch"})
    store.audit.write("outcome", "by-hand", {"what": "aws.launch", "ended": "done"})
    assert [*framed([], store)] == ["aws.launch of by-hand was begun, which nobody had accepted"]
    assert [*effects([], store)] == ["#2 (deploy prod) of eve is there, and was never accepted"]
    store.end("one", "done", Done("prod runs abc1234"))
    time.sleep(1.2 * LATE)
    assert "RunInstances was asked of AWS while no operation was at work" in [
        *effects([call("RunInstances")], store)
    ], "by-hand is none"
    store.audit.write("accepted", "by-hand", {"environment": "prod"})
    assert [*framed([], store)], "afterwards it helps nobody"
