"""Approval: who may say yes, to what, for how long, and how often."""

from __future__ import annotations

import pytest

from bot.config import Config, Permission
from bot.dispatcher import Dispatcher
from bot.errors import Refused
from bot.events import Done, Question, Stopped, WasCancelled
from bot.job import Job
from bot.people import Speaker
from bot.store import Store

ABOUT = ("5d6e7f8 comes to prod", "prodweb1 runs 1a2b3c4")


@pytest.fixture
def config(config):
    prod = config.environments["prod"].model_copy(
        update={"approval": "approve", "approvers": ("S0OPS", "bob"), "force": True}
    )
    environments = {**config.environments, "prod": prod}
    return config.model_copy(update={"environments": environments})


class Steps:
    """Every step is done, and none remembered."""

    def run(self, _name, work):
        return work()

    def cancelled(self):
        return ""

    def alive(self):
        return ""


@pytest.fixture
def asks(config, store, dispatcher):
    """An operation that has come to its question; returns the operation as it stands, and it."""

    def settle(operation, about=ABOUT, **how):
        speaker = Speaker(operation.person)
        job = Job(operation, speaker, config, store, dispatcher.people, Steps())
        return job.settle(config.environments["prod"], about, "deploy 5d6e7f8: sure?", **how)

    return settle


@pytest.fixture
def waiting(ask, asks, store):
    operation = store.get(ask("U0ADA", "deploy prod master").operation)
    store.begin(operation.id)
    store.ask(operation.id, asks(operation))
    return store.get(operation.id)


def yes(store, operation):
    asked = next(e.event for e in store.entries(operation.id) if isinstance(e.event, Question))
    return f"approve #{operation.number} {asked.token}"


def test_a_second_person_says_yes_and_exactly_that_goes_on(ask, asks, waiting, store):
    assert waiting.state == "waiting"
    reply = ask("U0BOB", yes(store, waiting))
    assert reply.ok and reply.text == "deploy prod master: it is #2 now"
    again = store.get("2")
    assert (again.line, again.person, again.approved_by) == ("deploy prod master", "ada", "bob")
    assert asks(again) is None, "what was said yes to needs no second yes"
    assert store.get(waiting.id).state == "done"
    assert store.entries(waiting.id)[-1].event == Done("bob said yes: it is #2 now")


def test_ones_own_yes_does_not_count(ask, waiting, store):
    reply = ask("U0ADA", yes(store, waiting), groups=frozenset({"S0OPS"}))
    assert not reply.ok and reply.text.startswith("ada asked for it: somebody else must say yes")
    assert store.get(waiting.id).state == "waiting"


def test_nobody_says_yes_to_themselves_by_a_second_name(config):
    """As a member of a group whom the config knows in a terminal only."""
    data = config.model_dump()
    data["people"]["cal"] = {"unix": "cal"}
    with pytest.raises(ValueError, match=r"a group may say yes, so people\.cal\.slack is needed"):
        Config.model_validate(data)
    data["environments"]["prod"]["approvers"] = ("bob",)
    assert Config.model_validate(data)


def test_who_was_struck_off_meanwhile_begins_nothing(ask, store, config, known):
    asked = ask("U0BOB", "deploy puppystream master")
    operation = store.get(asked.operation)

    def heed(changed, permission="deploy"):
        Dispatcher(config.model_copy(update=changed), known, store).heed_rights(
            operation, permission
        )

    heed({})
    with pytest.raises(Refused, match="bob may not deploy on puppystream any more"):
        heed({"people": {k: v for k, v in config.people.items() if k != "bob"}})
    with pytest.raises(Refused, match="any more"):
        heed({"permissions": (Permission(who=("ada",), may=("*",)),)})
    heed({"permissions": (Permission(who=("S0OPS",), may=("*",)),)})  # perhaps he is in it


def test_who_is_no_approver_is_told_who_is(ask, waiting, store):
    reply = ask("U0EVE", yes(store, waiting))
    assert not reply.ok and reply.text == "eve may not say yes to it\nask S0OPS and bob"
    assert ask("U0NEW", yes(store, waiting), groups=frozenset({"S0OPS"})).ok


def test_yes_counts_once(ask, waiting, store):
    assert ask("U0BOB", yes(store, waiting)).ok
    second = ask("U0BOB", yes(store, waiting))
    assert not second.ok and second.text.startswith("#1 was answered already")
    assert len(store.live()) == 1


def test_a_changed_world_asks_again(ask, asks, waiting, store):
    ask("U0BOB", yes(store, waiting))
    asked = asks(store.get("2"), about=("5d6e7f8 comes to prod", "prodweb1 runs 9f9f9f9"))
    assert asked.text.startswith("what bob said yes to has changed meanwhile")


def test_a_yes_that_comes_too_late(ask, waiting, store):
    before = store.now
    try:
        store.now = lambda: before() + 901
        late = ask("U0BOB", yes(store, waiting))
        assert not late.ok and late.text.startswith("#1 waited too long for a yes")
        store.expire()
    finally:
        store.now = before
    assert store.get(waiting.id).state == "failed"
    told = store.entries(waiting.id)[-1].event
    assert told == Stopped("nobody said yes in time", "again: deploy prod master", "expired")


def test_it_survives_a_restart(waiting, config, known, tmp_path):
    from bot.dispatcher import Dispatcher, Request
    from bot.people import Who

    anew = Store(f"sqlite:///{tmp_path / 'packlead.db'}")
    who = Who("slack", "U0BOB", "T0LAB")
    assert Dispatcher(config, known, anew).ask(Request("late", yes(anew, waiting), who)).ok
    anew.close()


def test_a_no_ends_it(ask, waiting, store):
    assert ask("U0ADA", f"reject #{waiting.number}").ok
    assert store.get(waiting.id).state == "cancelled"
    assert store.entries(waiting.id)[-1].event == WasCancelled("ada", "who said no")
    assert not ask("U0BOB", yes(store, waiting)).ok
    assert not ask("U0ADA", f"reject #{waiting.number}").ok


def test_who_could_say_yes_may_say_no(ask, waiting, store):
    """Approvers need no other right there; who is none of them and may not deploy is refused."""
    refused = ask("U0EVE", f"reject #{waiting.number}")
    assert not refused.ok and refused.text.startswith("eve may not deploy on prod")
    assert ask("U0BOB", f"reject #{waiting.number}").ok
    assert store.entries(waiting.id)[-1].event == WasCancelled("bob", "who said no")


def test_nobody_can_type_a_yes_into_a_line(ask, store):
    for line in ("deploy prod master --sure abc", "deploy prod master --approval abc"):
        assert not ask("U0ADA", line).ok
    assert store.live() == []


def test_force_is_for_who_may_and_where_the_config_has_it(ask, asks, config, store):
    operation = store.get(ask("U0ADA", 'deploy prod master --force "the site is down"').operation)
    assert asks(operation, force="the site is down") is None
    refused = ask("U0BOB", 'deploy puppystream master --force "please"')
    assert not refused.ok and refused.text.startswith("bob may not force on puppystream")
    grouped = ask("U0NEW", 'deploy prod --force "at night"', groups=frozenset({"S0OPS"}))
    assert asks(store.get(grouped.operation), force="at night") is None, (
        "the worker knows no groups"
    )
    with pytest.raises(Refused, match="prod takes no --force"):
        without = config.environments["prod"].model_copy(update={"force": False})
        Job(operation, Speaker("ada"), config, store, None, Steps()).check_force(without)


def test_a_policy_without_approvers_is_told_at_the_start(config):
    data = config.model_dump()
    data["environments"]["prod"]["approvers"] = ()
    with pytest.raises(ValueError, match=r"environments.prod.approvers: missing"):
        Config.model_validate(data)
    data["environments"]["prod"]["approvers"] = ("bbo",)
    with pytest.raises(ValueError, match='did you mean "bob"'):
        Config.model_validate(data)
