"""One card and one thread for each operation, whatever Slack does meanwhile."""

import time

import pytest

from bot.config import Config
from bot.events import (
    Called,
    Done,
    HostReport,
    Note,
    Output,
    Planned,
    Question,
    Step,
    StepEnded,
    StepProgress,
    StepStarted,
    Stopped,
    WasCancelled,
)
from bot.store import Store
from tests.fronts.conftest import Running, Worker
from tests.lab.slack import Message, Slack

PLAN = Planned(
    "deploy 5d6e7f8 (master) to prod, 4 hosts",
    (
        "comes: 5d6e7f8a (master) fix <!channel> & ```ticks``` \x1b[31mred\x1b[0m \u202eevil",
        "live:  1a2b3c4 on prodweb1 and prodweb2",
    ),
    (Step("prepare", "prepare 4 hosts"), Step("switch web", "switch prodweb1 and prodweb2")),
    ("prodweb1", "prodweb2"),
    "5d6e7f8a",
    183.0,
)


def begun(slack: Slack, worker: Worker, *events: object) -> Message:
    """A deploy with its card."""
    slack.command("U0ADA", "/deploy", "prod master")
    worker.begin(worker.newest(), PLAN, *events)
    return slack.wait(lambda: slack.messages("C0PROD"), what="the card")[0]


def card(slack: Slack) -> Message:
    (only,) = slack.messages("C0PROD")
    return only


def finished(slack: Slack, store: Store, id: str) -> None:
    slack.wait(lambda: store.note("slack", id).get("finished"), 20, "the end of telling")


def thread(slack: Slack) -> str:
    return "\n".join(reply.wording for reply in card(slack).replies)


def statuses(message: Message) -> list[str]:
    (plan,) = [b for b in message.blocks if b["type"] == "plan"]
    return [task["status"] for task in plan["tasks"]]


def test_the_life_of_a_card(strict: Slack, running: Running, worker: Worker, store: Store):
    first = begun(strict, worker)
    operation = worker.newest()
    assert "deploy 5d6e7f8" in first.wording and "asked by <@U0ADA>" in first.wording
    assert "usually takes 3 min" in first.wording and "master" in first.text
    assert statuses(first) == ["pending", "pending"]
    assert first.button("say:cancel").value == "cancel #1"
    worker.tell(operation, StepStarted("prepare", "fetching"))
    strict.wait(lambda: statuses(card(strict)) == ["in_progress", "pending"])
    worker.tell(
        operation,
        StepEnded("prepare"),
        StepStarted("switch web"),
        StepProgress("switch web", "prodweb2: draining", 1, 2),
        HostReport("prodweb1", "runs 5d6e7f8 and is healthy"),
    )
    strict.wait(lambda: statuses(card(strict)) == ["complete", "in_progress"])
    assert "switch prodweb1 and prodweb2 1/2" in card(strict).wording
    worker.tell(operation, HostReport("prodweb2", "runs 5d6e7f8 and is healthy"))
    worker.tell(operation, StepEnded("switch web"))
    worker.end(operation, Done("prod runs 5d6e7f8 on 4 hosts, release 7"))
    finished(strict, store, operation.id)
    last = card(strict)
    assert statuses(last) == ["complete", "complete"] and "release 7" in last.wording
    assert "cancel" not in [b.action_id for b in last.buttons]
    assert last.ts == first.ts
    said = thread(strict)
    assert said.index("the plan") < said.index("prodweb1 runs") < said.index("release 7")
    assert "&lt;!channel&gt;" in said and "\x1b" not in said and "\u202e" not in said
    assert 3 <= len(last.replies) <= 4, "host lines that come together are said together"


def test_a_failure_shows_host_task_and_tail(
    strict: Slack, running: Running, worker: Worker, store: Store
):
    begun(strict, worker, StepStarted("switch web"))
    operation = worker.newest()
    output = "\n".join(f"line {n}" for n in range(500)) + "\n```\nModuleNotFoundError: <!here>"
    worker.tell(operation, Output("prodweb1", "wait until healthy", output, ok=False))
    worker.tell(operation, HostReport("prodweb1", "went back to 1a2b3c4", ok=False))
    worker.end(
        operation, Stopped("wait until healthy on prodweb1: no answer", "1a2b3c4 on all"), "failed"
    )
    finished(strict, store, operation.id)
    last = card(strict)
    assert statuses(last) == ["error", "pending"] or statuses(last) == ["pending", "error"]
    said = thread(strict)
    assert "prodweb1: wait until healthy did not work" in said
    assert "ModuleNotFoundError: <!here>" in said and "line 3\n" not in said
    assert [b.action_id for b in last.buttons] == ["once:retry", "once:rollback"]
    end = last.replies[-1]
    assert end.broadcast and "<@U0ADA>" in end.wording
    assert "ModuleNotFoundError" in last.wording


def test_retry_counts_once_whoever_presses(
    strict: Slack, running: Running, worker: Worker, store: Store
):
    begun(strict, worker)
    worker.end(worker.newest(), Stopped("it broke"), "failed")
    finished(strict, store, worker.newest().id)
    ts = card(strict).ts
    assert strict.click("U0BOB", ts, "once:retry").acked  # he may not: nothing is used up
    strict.wait(lambda: strict.ephemerals("U0BOB"))
    for _ in range(3):
        assert strict.click("U0ADA", ts, "once:retry").acked
    strict.wait(lambda: len([m for m in strict.ephemerals("U0ADA") if m.via != "ack"]) == 3)
    assert [o.line for o in store.history()] == ["deploy prod master"] * 2
    worker.begin(worker.newest(), PLAN)
    strict.wait(lambda: len(strict.messages("C0PROD")) == 2)  # a card of its own, for all to see


def test_cancel_by_button(strict: Slack, running: Running, worker: Worker, store: Store):
    ts = begun(strict, worker, StepStarted("prepare")).ts
    operation = worker.newest()
    click = strict.click("U0ADA", ts, "say:cancel")
    assert click.acked and strict.replay(click).acked
    strict.wait(lambda: "stopping, ada said so" in card(strict).wording)
    assert card(strict).buttons == []
    worker.end(operation, WasCancelled("ada", "it stands now at 1a2b3c4 on all"), "cancelled")
    finished(strict, store, operation.id)
    assert "cancelled by ada" in card(strict).wording
    answers = [m for m in strict.ephemerals("U0ADA") if m.via != "ack"]
    assert len(answers) == 1 and "asked to stop" in answers[0].text


def test_what_waits_is_shown_at_once(strict: Slack, running: Running, worker: Worker):
    strict.command("U0ADA", "/deploy", "prod master")
    strict.command("U0ADA", "/deploy", "prod feature/logo")
    waiting = strict.wait(lambda: strict.messages("C0PROD"))[0]
    assert "waits for #1" in waiting.wording and waiting.button("say:cancel").value == "cancel #2"


def test_an_error_before_the_plan_is_private(
    strict: Slack, running: Running, worker: Worker, store: Store
):
    strict.command("U0ADA", "/deploy", "prod nonsense")
    operation = worker.newest()
    worker.store.begin(operation.id)
    worker.end(operation, Stopped("there is no ref nonsense", "did you mean master?"), "failed")
    finished(strict, store, operation.id)
    answer = [m for m in strict.ephemerals("U0ADA") if m.via == "response_url"]
    assert [m.text for m in answer] == ["there is no ref nonsense\ndid you mean master?"]
    assert strict.messages("C0PROD") == []


def test_asked_elsewhere_it_is_told_in_the_environments_channel(
    strict: Slack, running: Running, worker: Worker
):
    answer = strict.command("U0ADA", "/deploy", "prod master", channel="C0RANDOM").answer
    assert "told in the channel of prod" in answer["text"]
    worker.begin(worker.newest(), PLAN)
    strict.wait(lambda: strict.messages("C0PROD"))
    assert strict.messages("C0RANDOM") == []


def test_asked_in_a_thread_it_is_told_there(strict: Slack, running: Running, worker: Worker, store):
    strict.say("U0ADA", "C0PROD", "shall we?")
    root = strict.messages("C0PROD")[0].ts
    strict.mention("U0ADA", "C0PROD", "deploy prod master", thread_ts=root)
    operation = worker.newest()
    worker.begin(operation, PLAN)
    worker.end(operation, Done("prod runs 5d6e7f8"))
    finished(strict, store, operation.id)
    (message,) = strict.messages("C0PROD")
    told = [reply.wording for reply in message.replies if reply.bot_id]
    assert "done" in told[0] and "the plan" in told[1] and "prod runs 5d6e7f8" in told[-1]


def test_a_child_speaks_in_its_parents_thread(
    strict: Slack, running: Running, worker: Worker, store: Store
):
    begun(strict, worker)
    parent = worker.newest()
    child, _ = store.submit(
        f"{parent.id}/image", line="image prod", command="image", environment="prod",
        person="ada", front="slack", audience=parent.audience, parent=parent.id,
    )  # fmt: skip
    worker.end(parent, Done("prod runs 5d6e7f8"))
    worker.begin(child, Planned("make an image of prodweb1"), Note("image ami-1 is there"))
    worker.end(child, Done("ami-1 made in 4 min"))
    finished(strict, store, child.id)
    assert "ami-1 made in 4 min" in thread(strict) and len(strict.messages("C0PROD")) == 1


@pytest.mark.parametrize("types", [("plan",), ("plan", "section"), ("rich_text_preformatted",)])
def test_blocks_that_slack_refuses(
    slack: Slack, running: Running, worker: Worker, store: Store, types: tuple[str, ...]
):
    slack.fault("*", "invalid_blocks", types=types)
    begun(slack, worker, StepStarted("prepare"))
    operation = worker.newest()
    worker.tell(operation, Output("prodweb1", "install", "no such package ```", ok=False))
    worker.end(operation, Stopped("install on prodweb1: no such package"), "failed")
    finished(slack, store, operation.id)
    last = card(slack)
    assert "stopped" in last.wording or "no such package" in last.text
    assert "no such package" in thread(slack) and "the plan" in thread(slack)
    refused = len(slack.refused)
    slack.command("U0ADA", "/deploy", "prod master")
    again = worker.newest()
    worker.begin(again, PLAN, StepStarted("prepare"))
    worker.end(again, Done("prod runs 5d6e7f8"))
    finished(slack, store, again.id)
    assert len(slack.refused) == refused, "what was refused once is not tried again"


@pytest.mark.parametrize("kind", ["429", "503", "dropped"])
def test_slack_is_away_for_a_while(
    strict: Slack, running: Running, worker: Worker, store: Store, kind: str
):
    strict.command("U0ADA", "/deploy", "prod master")
    operation = worker.newest()
    fault = strict.fault("*", kind, seconds=60)
    worker.begin(operation, PLAN, StepStarted("prepare"))
    strict.wait(lambda: len([c for c in strict.calls if c.fault]) >= 2)
    worker.tell(operation, StepEnded("prepare"), HostReport("prodweb1", "runs 5d6e7f8"))
    worker.end(operation, Done("prod runs 5d6e7f8"))
    fault.clear()
    finished(strict, store, operation.id)
    last = card(strict)
    assert "done" in last.wording
    said = thread(strict)
    for once in ("the plan", "prodweb1 runs 5d6e7f8", "prod runs 5d6e7f8"):
        assert said.count(once) == 1, said
    assert "said again" not in said or kind == "dropped"


def test_an_answer_that_is_lost_makes_one_marked_repeat(
    strict: Slack, running: Running, worker: Worker, store: Store
):
    strict.fault("chat.postMessage", "lost", times=1)
    strict.command("U0ADA", "/deploy", "prod master")
    operation = worker.newest()
    worker.begin(operation, PLAN)
    strict.wait(lambda: len(strict.messages("C0PROD")) == 2)
    worker.end(operation, Done("prod runs 5d6e7f8"))
    finished(strict, store, operation.id)
    lost, again = strict.messages("C0PROD")
    assert "said again" in again.wording and "done" in again.wording
    assert lost.replies == [] and len(again.replies) == 2


@pytest.mark.parametrize("kind", ["500", "error", "nonsense"])
def test_what_slack_may_have_done_is_said_again_with_a_mark(
    slack: Slack, running: Running, worker: Worker, store: Store, kind: str
):
    """Slack says of an internal_error that some of it may have succeeded."""
    slack.fault("chat.postMessage", kind, times=1)
    slack.command("U0ADA", "/deploy", "prod master")
    operation = worker.newest()
    worker.begin(operation, PLAN)
    worker.end(operation, Done("prod runs 5d6e7f8"))
    finished(slack, store, operation.id)
    assert ["said again" in message.wording for message in slack.messages("C0PROD")] == [True]


def test_after_a_restart_it_goes_on(strict: Slack, launch, worker: Worker, store: Store):
    first = launch()
    begun(strict, worker, HostReport("prodweb1", "runs 5d6e7f8"))
    operation = worker.newest()
    strict.wait(lambda: "prodweb1 runs" in thread(strict))
    first.stop()
    worker.tell(operation, HostReport("prodweb2", "runs 5d6e7f8"))
    worker.end(operation, Done("prod runs 5d6e7f8 everywhere"))
    launch()
    finished(strict, store, operation.id)
    said = thread(strict)
    assert said.count("the plan") == said.count("prodweb1 runs") == said.count("prodweb2 runs") == 1
    assert "everywhere" in card(strict).wording


def test_two_fronts_write_one_card(strict: Slack, launch, worker: Worker, store: Store):
    launch(), launch()
    begun(strict, worker)
    operation = worker.newest()
    worker.end(operation, Done("prod runs 5d6e7f8"))
    finished(strict, store, operation.id)
    assert len(strict.messages("C0PROD")) == 1 and len(card(strict).replies) == 2


def test_a_channel_without_packlead(slack: Slack, running: Running, worker: Worker, store: Store):
    slack.channel("C0PROD").members.remove("U0PACKLEAD")
    slack.command("U0ADA", "/deploy", "prod master")
    operation = worker.newest()
    worker.begin(operation, PLAN)
    worker.end(operation, Done("prod runs 5d6e7f8"))
    finished(slack, store, operation.id)
    answer = next(m for m in slack.ephemerals("U0ADA") if m.via == "response_url")
    assert "prod runs 5d6e7f8" in answer.text and "not_in_channel" in answer.text


def test_a_card_that_somebody_deleted(slack: Slack, running: Running, worker: Worker, store: Store):
    first = begun(slack, worker)
    operation = worker.newest()
    slack.wait(lambda: card(slack).replies)
    slack.fault("chat.update", "error", error="message_not_found", times=100)
    worker.end(operation, Done("prod runs 5d6e7f8"))
    finished(slack, store, operation.id)
    assert first.ts and "prod runs 5d6e7f8" in thread(slack)


def test_a_question_has_the_buttons_of_commands_that_exist(
    strict: Slack, running: Running, worker: Worker, store: Store
):
    begun(strict, worker)
    operation = worker.newest()
    store.ask(operation.id, Question("remove 3 commits?", "tok3n", ("1a2b3c4 one",)))
    strict.wait(lambda: "asks first" in card(strict).wording)
    assert "remove 3 commits?" in card(strict).wording
    said = [(button.label, button.value) for button in card(strict).buttons]
    assert said == [("Approve", "approve #1 tok3n"), ("Reject", "reject #1")]


def test_many_operations_share_what_slack_allows(
    slack: Slack, running: Running, worker: Worker, store: Store
):
    slack.rate_limits = True
    slack.commands([("U0ADA", "/deploy", f"{e} master", "C0OPS") for e in ("prod", "puppystream")])
    operations = store.history()
    for operation in operations:
        worker.begin(operation, PLAN)
    for n in range(100):
        for operation in operations:
            worker.tell(operation, StepProgress("prepare", f"fetching {n}", n, 100))
    for operation in operations:
        worker.end(operation, Done("it runs"))
    for operation in operations:
        finished(slack, store, operation.id)
    updates = [c for c in slack.calls if c.method == "chat.update"]
    assert len(updates) <= 8 and not [c for c in slack.calls if c.status == 429]


def test_killed_between_saying_and_noting(strict: Slack, launch, worker: Worker, store: Store):
    first = launch()
    begun(strict, worker)
    operation = worker.newest()
    strict.wait(lambda: store.note("slack", operation.id).get("told"))
    first.stop()
    note = store.note("slack", operation.id)
    worker.tell(operation, HostReport("prodweb1", "runs 5d6e7f8"))
    number = store.newest_entry()
    store.keep_note("slack", operation.id, note | {"sending": f"post:{number}-{number}"})
    worker.tell(operation, HostReport("prodweb2", "runs 5d6e7f8"))
    worker.end(operation, Done("prod runs 5d6e7f8 everywhere"))
    launch()
    finished(strict, store, operation.id)
    plan, repeat, *others = card(strict).replies
    assert "the plan" in plan.wording
    assert "prodweb1" in repeat.wording and "said again" in repeat.wording
    assert "prodweb2" not in repeat.wording
    assert all("said again" not in other.wording for other in others)


def test_who_is_called_is_called_once_in_the_thread(
    strict: Slack, running: Running, worker: Worker, store: Store
):
    begun(strict, worker, Called("it brings commits of", ("bob", "noor")), StepStarted("prepare"))
    strict.wait(lambda: "it brings commits of <@U0BOB> and noor" in thread(strict))
    operation = worker.newest()
    worker.end(operation, Done("prod runs 5d6e7f8"))
    finished(strict, store, operation.id)
    assert thread(strict).count("<@U0BOB>") == 1
    assert "U0BOB" not in card(strict).wording, "the card is edited, and calls nobody"


def test_two_machines_write_one_card(
    strict: Slack, config: Config, dispatcher, environ, worker: Worker, store: Store
):
    shared = Store(store.url, key=store.key)
    shared.alone = False  # as fronts see it: another machine may be there too
    first = Running(config, shared, dispatcher, environ).start()
    elsewhere = config.model_copy(update={"data": f"{config.data}-elsewhere"})
    second = Running(elsewhere, shared, dispatcher, environ).start()
    begun(strict, worker, HostReport("prodweb1", "runs 5d6e7f8"))
    operation = worker.newest()
    strict.wait(lambda: "prodweb1" in thread(strict))
    first.stop()  # whichever of the two wrote, the other goes on
    worker.end(operation, Done("prod runs 5d6e7f8"))
    finished(strict, store, operation.id)
    second.stop()
    shared.close()
    assert len(strict.messages("C0PROD")) == 1 and thread(strict).count("the plan") == 1


@pytest.mark.soak  # its connection comes back in some seconds
def test_slack_is_away_altogether(
    strict: Slack, running: Running, worker: Worker, store: Store, caplog: pytest.LogCaptureFixture
):
    """Nobody is there, then somebody who only says 503; the commands of that time are nobody's."""
    begun(strict, worker, StepStarted("prepare"))
    operation = worker.newest()
    strict.wait(lambda: "the plan" in thread(strict))
    strict.leave("refused")
    worker.tell(operation, StepEnded("prepare"), HostReport("prodweb1", "runs 5d6e7f8"))
    assert not strict.command("U0ADA", "/deploy", "puppystream master").acked
    time.sleep(3)
    strict.leave("503")
    worker.tell(operation, HostReport("prodweb2", "runs 5d6e7f8"))
    worker.end(operation, Done("prod runs 5d6e7f8"))
    time.sleep(3)
    strict.come_back()
    finished(strict, store, operation.id)
    strict.wait_connected(timeout=30)
    assert strict.command("U0ADA", "/locks").acked
    said = thread(strict)
    for once in ("the plan", "prodweb1 runs", "prodweb2 runs", "prod runs 5d6e7f8"):
        assert said.count(once) == 1, said
    assert said.index("prodweb1 runs") < said.index("prodweb2 runs") < said.index("prod runs")
    assert "done" in card(strict).wording and "said again" not in said
    assert not [call for call in strict.calls if call.status == 429]
    assert [one.line for one in store.history()] == ["deploy prod master"], "nobody heard that"
    assert "Traceback" not in caplog.text, "the log is filled by an outage"
