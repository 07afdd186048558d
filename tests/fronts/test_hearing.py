"""What people say in Slack reaches the dispatcher once, and is answered."""

import json
import random
import time

from bot.events import Answered, WasCancelled
from bot.store import Store
from tests.fronts.conftest import Running, Worker
from tests.lab.slack import Slack


def test_a_command_is_acknowledged_and_recorded(strict: Slack, running: Running, store: Store):
    delivery = strict.command("U0ADA", "/deploy", "prod master")
    assert delivery.acked
    assert delivery.answer == {
        "text": "deploy prod master: accepted as #1",
        "response_type": "ephemeral",
    }
    operation = store.history()[0]
    assert (operation.line, operation.person, operation.environment) == (
        "deploy prod master", "ada", "prod",
    )  # fmt: skip
    assert operation.audience["kind"] == "slack" and operation.audience["channel"] == "C0PROD"


def test_the_catch_all_takes_any_command(strict: Slack, running: Running, store: Store):
    assert "accepted as #1" in strict.command("U0ADA", "/packlead", "deploy prod").answer["text"]
    assert "deploy" in strict.command("U0ADA", "/packlead", "").answer["text"]


def test_a_mistake_is_answered_privately_and_nothing_is_recorded(
    strict: Slack, running: Running, store: Store
):
    answer = strict.command("U0ADA", "/deploy", "prdo master").answer
    assert 'did you mean "prod"?' in answer["text"]
    answer = strict.command("U0BOB", "/deploy", "prod master").answer
    assert "bob may not deploy on prod" in answer["text"]
    answer = strict.command("U0ADA", "/deploy", "prod <!channel>").answer
    assert "<!" not in answer["text"] and "&lt;!channel&gt;" in answer["text"]
    assert store.history() == [] and strict.messages("C0PROD") == []


def test_those_who_may_nothing(strict: Slack, running: Running, store: Store):
    told = {
        user: strict.command(user, "/deploy", "prod master").answer["text"]
        for user in ("U0EVE", "U0GUEST", "U0STRANGER", "U0GONE", "U0ROBOT")
    }
    assert "eve may not deploy" in told["U0EVE"]
    assert "another workspace" in told["U0STRANGER"]
    assert all("accepted" not in text for text in told.values())
    assert store.history() == []


def test_a_mention_in_a_thread(strict: Slack, running: Running, worker: Worker):
    strict.say("U0ADA", "C0PROD", "shall we?")
    root = strict.messages("C0PROD")[0].ts
    assert strict.mention("U0ADA", "C0PROD", "deploy prod “master”", thread_ts=root).acked
    operation = worker.newest()
    assert operation.line == "deploy prod master"
    assert operation.audience["thread"] == root
    answer = strict.wait(lambda: strict.ephemerals("U0ADA"))[0]
    assert "accepted as #1" in answer.text and answer.thread_ts == root


def test_a_mention_further_on_is_no_command(strict: Slack, running: Running, store: Store):
    strict.mention("U0ADA", "C0PROD", "do not let @packlead deploy prod master")
    assert "begin the message" in strict.wait(lambda: strict.ephemerals("U0ADA"))[0].text
    assert store.history() == []


def test_a_direct_message(strict: Slack, running: Running, worker: Worker):
    assert strict.say("U0ADA", "D0ADA", "deploy prod master").acked
    assert worker.newest().line == "deploy prod master"
    answers = strict.wait(lambda: [m for m in strict.messages("D0ADA") if m.bot_id])
    assert "told in the channel of prod" in answers[0].text


def test_what_a_bot_says_is_not_heard(strict: Slack, running: Running, store: Store):
    strict.mention("U0ROBOT", "C0PROD", "deploy prod master")
    assert store.history() == [] and strict.ephemerals("U0ROBOT") == []


def test_a_delivery_that_comes_again_is_done_once(strict: Slack, running: Running, store: Store):
    first = strict.command("U0ADA", "/deploy", "prod master")
    again = strict.replay(first)
    said = strict.mention("U0ADA", "C0PROD", "deploy puppystream master")
    assert again.acked and strict.replay(said).acked and strict.replay(said).acked
    assert not (again.answer or {}).get("text")
    assert [o.line for o in store.history()] == ["deploy puppystream master", "deploy prod master"]


def test_a_delivery_that_comes_again_after_a_restart(
    strict: Slack, launch, store: Store, worker: Worker
):
    before = launch()
    first = strict.command("U0ADA", "/deploy", "prod master")
    cancelled = strict.command("U0ADA", "/cancel", "#1")
    before.stop()
    launch()
    strict.wait_connected()
    assert strict.replay(first).acked and strict.replay(cancelled).acked
    assert len(store.history()) == 1


def test_deliveries_out_of_order_and_again_and_again(
    strict: Slack, running: Running, store: Store, worker: Worker
):
    """A late repeat must not meet what came since: neither a newer deploy nor a newer lock."""
    dice = random.Random(20261128)
    given = [strict.command("U0ADA", "/deploy", f"puppystream {n:07x}aa") for n in range(8)]
    for operation in store.live():
        store.cancel(operation.id, "ada")
    given += [strict.command("U0ADA", "/lock", "prod a visit"), strict.command("U0ADA", "/locks")]
    given.append(strict.command("U0ADA", "/deploy", "prod master"))
    worker.begin(worker.newest())
    given.append(strict.command("U0ADA", "/cancel"))
    assert worker.newest().cancelled_by == "ada"
    worker.end(worker.newest(), WasCancelled("ada"), "cancelled")
    given.append(strict.command("U0ADA", "/unlock", "prod"))
    strict.command("U0ADA", "/deploy", "prod master")
    newest = worker.newest()
    worker.begin(newest)
    strict.command("U0ADA", "/lock", "prod another one")
    count = len(store.history(limit=200))
    for delivery in dice.sample(given * 3, len(given) * 3):
        again = strict.replay(delivery)
        assert again.acked and not (again.answer or {}).get("text")
    assert len(store.history(limit=200)) == count
    assert not store.get(newest.id).cancelled_by
    assert store.locks.of("prod").reason == "another one"


def test_a_looking_command_is_answered_privately(strict: Slack, running: Running, worker: Worker):
    strict.command("U0ADA", "/packlead", "status prod")
    operation = worker.newest()
    table = ("prod: 2 web", "  prodweb1   <!channel> ```  1a2b3c4")
    worker.begin(operation)
    worker.end(operation, Answered(table, table=True))
    answer = strict.wait(lambda: [m for m in strict.ephemerals("U0ADA") if m.via != "ack"])[0]
    assert answer.via == "response_url" and "prodweb1" in answer.wording
    strict.wait(lambda: worker.store.note("slack", operation.id).get("finished"))
    assert strict.messages("C0PROD") == []
    assert [m.wording for m in strict.ephemerals("U0ADA") if m.via != "ack"][1:] == []


def test_where_the_response_url_is_gone_it_is_said_otherwise(
    slack: Slack, running: Running, worker: Worker, store: Store
):
    slack.command("U0ADA", "/packlead", "status prod")
    operation = worker.newest()
    slack.fault("response_url", "error", error="used_url", times=1)
    worker.begin(operation)
    worker.end(operation, Answered(("prod: 2 web",)))
    answer = slack.wait(lambda: [m for m in slack.ephemerals("U0ADA") if m.via == "api"])[0]
    assert answer.text == "prod: 2 web"


def test_a_hundred_commands_at_once(strict: Slack, running: Running, store: Store):
    strict.rate_limits = False
    given = [
        ("U0ADA", "/deploy", f"{'prod' if n % 2 else 'puppystream'} master", "C0OPS")
        for n in range(100)
    ]
    deliveries = strict.commands(given)
    assert all(d.acked for d in deliveries)
    told = [d.answer["text"] for d in deliveries]
    late = [text for text in told if "nothing was accepted\nsay it again" in text]  # a slow machine
    assert all("accepted as #" in text for text in told if text not in late)
    assert len(store.history(limit=200)) == 100 - len(late) > 0


def test_signed_http(strict: Slack, over_http: Running, store: Store):
    delivery = strict.command("U0ADA", "/deploy", "prod master")
    assert delivery.via == "http" and "accepted as #1" in delivery.answer["text"]
    again = strict.replay(delivery)
    assert again.status == 401
    said = strict.mention("U0ADA", "C0PUPPY", "deploy puppystream")
    assert said.acked and len(store.history()) == 2
    assert strict.replay(said).status in (200, 401)
    assert len(store.history()) == 2


def test_slacks_own_retry_of_an_event(strict: Slack, over_http: Running, store: Store):
    said = strict.mention("U0ADA", "C0PROD", "deploy prod")
    retry = said.headers | {"X-Slack-Retry-Num": "1", "X-Slack-Retry-Reason": "http_timeout"}
    assert strict.request("", said.body, retry)[0] == 200
    assert strict.request("", said.body, said.headers)[0] == 401
    fresh = retry | strict.sign(said.body, int(time.time()) + 1)
    assert strict.request("", said.body, fresh)[0] == 200
    assert len(store.history()) == 1


def test_what_slack_did_not_sign_stays_outside(strict: Slack, over_http: Running, store: Store):
    delivery = strict.command("U0ADA", "/packlead", "status prod")
    body, good = delivery.body, strict.sign(delivery.body, int(time.time()) - 1)
    stamp, signature = good["X-Slack-Request-Timestamp"], good["X-Slack-Signature"]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    junk = [
        {},
        {"X-Slack-Signature": signature},
        {"X-Slack-Request-Timestamp": stamp},
        good | {"X-Slack-Signature": "v0=" + "0" * 64},
        good | {"X-Slack-Signature": signature.upper()},
        good | {"X-Slack-Signature": "v0=ünïcode"},
        good | {"X-Slack-Signature": signature + "x"},
        good | {"X-Slack-Request-Timestamp": "nan"},
        good | {"X-Slack-Request-Timestamp": "١" * 10},
        good | {"X-Slack-Request-Timestamp": "-1"},
        good | {"X-Slack-Request-Timestamp": "9" * 400},
        strict.sign(body, int(time.time()) - 301),
        strict.sign(body, int(time.time()) + 330),
    ]
    for headers in junk:
        assert strict.request("", body, form | headers)[0] == 401, headers
    assert strict.request("", body + b"x", form | good)[0] == 401
    big = b"payload=" + b"x" * (1024 * 1024 + 1)
    assert strict.request("", big, form | strict.sign(big))[0] == 401
    binary = b"\xff\xfe\x00"
    assert strict.request("", binary, form | strict.sign(binary))[0] == 401
    for odd in (b"payload=notjson", b"", b"[]", b"{", json.dumps({"type": 7}).encode()):
        assert strict.request("", odd, form | strict.sign(odd))[0] < 500, odd
    assert len(store.history()) == 1


def test_health(strict: Slack, over_http: Running):
    import urllib.request

    with urllib.request.urlopen(f"{over_http.url}/healthz") as answer:
        assert json.load(answer) == {"ok": True, "database": True, "slack": True}


def test_a_dropped_socket_comes_back(strict: Slack, running: Running, store: Store):
    for how in ("close", "reset", "refresh"):
        strict.drop_sockets(how)
        strict.wait_connected()
    delivery = strict.wait(
        lambda: (d := strict.command("U0ADA", "/deploy", "prod master")).acked and d, timeout=15
    )
    assert "accepted" in delivery.answer["text"]


def test_columns_stay_columns(strict: Slack, running: Running):
    answer = strict.command("U0ADA", "/packlead", "help").answer
    assert answer["text"].startswith("```") and "deploy ENV [REF]" in answer["text"]
