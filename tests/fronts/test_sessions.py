"""A shell in direct messages: where its card is, and whose messages are lines of it."""

from __future__ import annotations

from bot.events import Note, Planned, Printed, Question, Shown, Stopped, Typed
from bot.sessions import Sessions, unfenced
from bot.store import Operation, Store
from tests.fronts.conftest import Running, Worker
from tests.lab.slack import Slack

PLAN = Planned("a shell on prodmanager1 of prod: dogs")


def opened(slack: Slack, worker: Worker, store: Store) -> Operation:
    slack.command("U0ADA", "/shell", "prod dogs", "C0OPS")
    operation = worker.newest()
    worker.begin(operation, PLAN, Note("it is open"))
    Sessions(store).open(operation)
    slack.wait(lambda: "it is open" in said(slack), what="the card")
    return operation


def said(slack: Slack) -> str:
    return "\n".join(m.wording for m in slack.messages("D0ADA"))


def typed(store: Store, operation: Operation) -> list[str]:
    """What the worker would read next; nothing of it is in the database in clear."""
    entries = [e.event for e in store.entries(operation.id) if isinstance(e.event, Typed)]
    assert {e.text for e in entries} <= {""}
    return Sessions(store).typed(operation, 0)[1]


def test_a_conversation(strict: Slack, running: Running, worker: Worker, store: Store):
    operation = opened(strict, worker, store)
    assert strict.messages("C0OPS") == strict.messages("C0PROD") == []
    delivery = strict.say("U0ADA", "D0ADA", "dogs < 3")
    assert delivery and delivery.acked
    strict.replay(delivery)
    strict.say("U0ADA", "D0ADA", "`help`")
    assert typed(store, operation) == ["dogs < 3", "help"]
    worker.tell(operation, Printed("prodmanager1", "never shown"), Shown("```<!channel>\n", 9))
    strict.wait(lambda: "<!channel>" in said(strict), what="the answer")
    assert "8 lines before: the log has them" in said(strict)
    assert "never shown" not in said(strict)
    worker.end(operation, Stopped("it broke", "", "interrupted"), "failed")
    strict.wait(lambda: store.note("slack", operation.id).get("finished"), 20, "the end")
    assert not any(message.replies for message in strict.messages("D0ADA")), "it is no thread"


def test_whose_lines_they_are(strict: Slack, running: Running, worker: Worker, store: Store):
    operation = opened(strict, worker, store)
    strict.say("U0BOB", "D0BOB", "print('bob')")
    strict.say("U0ADA", "C0PROD", "print('channel')")
    strict.mention("U0ADA", "C0PROD", "print('mention')")
    strict.command("U0ADA", "/packlead", "help", "D0ADA")
    assert typed(store, operation) == []
    strict.say("U0ADA", "D0ADA", "exit")
    strict.say("U0ADA", "D0ADA", "print('too late')")
    assert typed(store, operation) == ["exit"]
    strict.wait(lambda: "there is no command" in said(strict), what="it is a command again")


def test_it_is_asked_for_where_all_see_it(
    strict: Slack, running: Running, worker: Worker, store: Store
):
    strict.command("U0ADA", "/shell", "prod dogs", "C0OPS")
    asked = worker.newest()
    store.begin(asked.id)
    store.ask(asked.id, Question("sure?", "t0", ("a shell",), True, ("bob",), store.now() + 900))
    card = strict.wait(lambda: strict.messages("C0PROD"), what="the question")[0]
    assert "somebody else must say yes: bob" in card.wording
    again = store.approve(asked, "t0", "bob")
    assert again
    worker.begin(again, PLAN)
    strict.wait(lambda: "a shell on prodmanager1" in said(strict), what="the shell's own card")
    assert strict.messages("D0BOB") == []


def test_a_secret_of_ours_goes_nowhere(
    strict: Slack, running: Running, worker: Worker, store: Store, monkeypatch
):
    operation = opened(strict, worker, store)
    monkeypatch.setenv("GITHUB_TOKEN", "ghp-secret-of-the-lab")
    strict.say("U0ADA", "D0ADA", "t = 'ghp-secret-of-the-lab'")
    strict.wait(lambda: "the shell did not get it" in said(strict), what="a refusal")
    strict.say("U0ADA", "D0ADA", "x" * 8001)
    strict.wait(lambda: "a shell takes 8000 at most" in said(strict), what="a refusal")
    assert typed(store, operation) == []


def test_marks_around_code():
    assert unfenced("```\nfor n in x:\n    n\n```") == "for n in x:\n    n"
    assert unfenced("`a`") == "a"
    assert unfenced("  a = `b`") == "  a = `b`"
    assert unfenced("``") == "``"
