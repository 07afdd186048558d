"""The form for a value: it opens at once, says what is wrong, and its value is sealed."""

from __future__ import annotations

from pathlib import Path

from bot.store import Store
from tests.fronts.conftest import Running
from tests.lab.slack import Slack
from tests.lab.slack.records import Json

VALUE = "canary77x0123456789abcdef $(id) {{ x }}\n second"


def form(slack: Slack, user: str = "U0ADA") -> Json:
    return slack.wait(lambda: next(iter(slack.views(user)), None), what="the form opens")


def test_a_form_opens_and_what_is_typed_is_sealed(
    strict: Slack, running: Running, store: Store, tmp_path: Path
):
    delivery = strict.command("U0ADA", "/rotate-key", "TWITTER_KEY prod")
    assert delivery.acked and not delivery.answer
    assert store.history() == []
    assert [b.get("block_id") for b in form(strict)["blocks"]][1:] == ["value", "random"]
    sent = strict.submit("U0ADA", {"value": VALUE})
    assert sent.acked and not sent.answer
    operation = store.history()[0]
    assert (operation.line, operation.person) == ("rotate-key TWITTER_KEY prod", "ada")
    assert store.sealed.open(operation.id) == VALUE
    strict.wait(lambda: "accepted as #1" in strict.ephemerals("U0ADA")[-1].wording)
    files = b"".join(file.read_bytes() for file in tmp_path.glob("packlead.db*"))
    assert b"canary77" not in files
    assert "canary77" not in repr(strict.calls)

    assert not strict.replay(sent).answer
    assert len(store.history()) == 1, "a form that comes twice is one operation"
    store.cancel(operation.id, "ada")
    assert store.sealed.open(operation.id) is None


def test_without_an_environment_the_form_asks_for_one(
    strict: Slack, running: Running, store: Store
):
    strict.command("U0ADA", "/rotate-key", "TWITTER_KEY")
    choices = next(b for b in form(strict)["blocks"] if b.get("block_id") == "environment")
    assert "prod" in [o["value"] for o in choices["element"]["options"]]
    strict.submit("U0ADA", {"environment": "prod", "random": "random"})
    operation = store.history()[0]
    assert operation.line == "rotate-key TWITTER_KEY prod --generate"
    assert store.sealed.open(operation.id) is None


def test_what_is_wrong_is_said_in_the_form(strict: Slack, running: Running, store: Store):
    strict.command("U0ADA", "/rotate-key", "TWITTER_KEY prod")
    form(strict)
    for values, said in (
        ({}, "type a value"),
        ({"value": "x", "random": "random"}, "not both"),
        ({"value": "a\x07b"}, "control characters"),
    ):
        answer = strict.submit("U0ADA", values).answer
        assert answer["response_action"] == "errors" and said in answer["errors"]["value"]
    assert store.history() == []


def test_who_may_not_gets_no_form(strict: Slack, running: Running, store: Store):
    answer = strict.command("U0BOB", "/rotate-key", "TWITTER_KEY prod").answer
    assert "bob may not rotate-key on prod" in answer["text"]
    assert not strict.views("U0BOB")


def test_a_form_that_does_not_open_says_what_to_do(slack: Slack, running: Running):
    slack.fault("views.open", "error", error="expired_trigger_id")
    slack.command("U0ADA", "/rotate-key", "TWITTER_KEY prod")
    said = slack.wait(lambda: [m.wording for m in slack.ephemerals("U0ADA")])
    assert "type it again: /rotate-key TWITTER_KEY prod" in said[-1]


def test_a_mention_opens_none_and_says_where_one_does(strict: Slack, running: Running):
    strict.mention("U0ADA", "C0PROD", "<@U0PACKLEAD> rotate-key TWITTER_KEY prod")
    said = strict.wait(lambda: [m.wording for m in strict.ephemerals("U0ADA")])
    assert "type /rotate-key TWITTER_KEY prod in Slack" in said[-1]
    assert not strict.views("U0ADA")
