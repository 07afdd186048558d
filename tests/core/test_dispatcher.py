"""Who may say what, and what is answered at once."""

import time

import pytest

from bot.store import Lock


def test_a_deploy_is_accepted_once_however_often_it_comes(ask, store):
    first = ask("U0ADA", "deploy prod master", id="trigger-1")
    again = ask("U0ADA", "deploy prod master", id="trigger-1")
    assert first.ok and again.ok and again.duplicate and first.operation == again.operation
    assert first.text == "deploy prod master: accepted as #1"
    assert len(store.live()) == 1


@pytest.mark.parametrize(
    ("person", "line", "answer"),
    [
        ("U0BOB", "deploy prod master", "bob may not deploy on prod\nada, S0OPS may: ask there"),
        ("U0EVE", "deploy prod master", "eve may not deploy on prod\nada, S0OPS may: ask there"),
        ("U0EVE", "deploy puppystream", "eve may not deploy on puppystream\nada, S0OPS, bob may: "),
        (
            "U0NEW",
            "deploy prod",
            "Packlead does not know you (slack U0NEW)\nwho keeps its config can add you: ",
        ),
    ],
)
def test_who_may_not_is_told_who_may(person, line, answer, ask, store):
    reply = ask(person, line)
    assert not reply.ok and reply.text.startswith(answer)
    assert store.live() == [] and store.newest_entry() == 0


@pytest.mark.parametrize(
    ("who", "word"),
    [
        ({"status": "guest"}, "guest"),
        ({"status": "stranger"}, "another workspace"),
        ({"team": "T0OTHER"}, "another workspace"),
        ({"status": "gone"}, "deactivated"),
        ({"status": "bot"}, "bot"),
        ({"status": "unreachable"}, "the answer is no"),
        ({"status": "something new"}, "does not know who you are"),
    ],
)
def test_even_ada_is_refused_as_a_guest_a_stranger_or_a_bot(who, word, ask, store):
    reply = ask("U0ADA", "deploy prod master", **who)
    assert not reply.ok and word in reply.text
    assert store.live() == []


def test_a_member_of_a_user_group_may_what_the_group_may(ask):
    assert ask("U0MEMBER", "deploy prod", groups=frozenset({"S0OPS"})).ok
    assert not ask("U0MEMBER", "deploy prod", groups=frozenset({"S0OTHER"})).ok


def test_a_locked_environment_says_by_whom_since_when_and_for_what(ask, store):
    now = time.time()
    store.now = lambda: now
    store.locks.take(Lock("prod", "bob", "moving the database", now - 120))
    reply = ask("U0ADA", "deploy prod master")
    assert reply.text == ("bob has kept prod for 2 min: moving the database\nask bob, or wait")
    assert not reply.ok and store.live() == []
    for line in ("run prod -- migrate --list", "shell prod look at the dogs"):
        assert ask("U0ADA", line).text == reply.text, "data is not changed behind it either"
    assert ask("U0ADA", "deploy prod --dry-run").ok, "looking does not need the lock"
    assert ask("U0ADA", "deploy puppystream").ok


def test_whoever_holds_the_lock_may_work_behind_it(ask, store):
    now = time.time()
    store.now = lambda: now
    assert (
        "ada keeps prod from now on for 2 h: moving"
        in ask("U0ADA", "lock prod moving the database --for 2h").text
    )
    assert ask("U0ADA", "deploy prod").ok
    taken = ask("U0MEMBER", "unlock prod", groups=frozenset({"S0OPS"}))
    assert "or: unlock prod --steal" in taken.text
    taken = ask("U0MEMBER", "unlock prod --steal", groups=frozenset({"S0OPS"}))
    assert "ada is told" in taken.text
    assert store.history()[0].line.startswith("tell prod --to ada 'U0MEMBER took ada")
    assert "has kept" not in ask("U0ADA", "locks").text


def test_an_expired_lock_stops_nobody(ask, store):
    store.locks.take(Lock("prod", "bob", "lunch", time.time() - 120, time.time() - 60))
    assert ask("U0ADA", "deploy prod master").ok


def test_the_second_deploy_says_what_it_waits_for(ask, store):
    ask("U0ADA", "deploy prod")
    second = ask("U0ADA", "deploy prod")
    assert store.entries(second.operation)[0].event.behind == "#1"


def test_help_shows_what_you_may_say(ask):
    assert "deploy ENV [REF]  " in ask("U0ADA", "help").text
    assert "deploy" not in ask("U0EVE", "help").text
    assert ask("U0ADA", "help deploy").text.startswith("usage: deploy ENV")
    assert ask("U0ADA", "help deplyo").text.endswith('did you mean "deploy"?')


def test_cancel_without_a_number_stops_the_only_one(ask, store):
    assert "nothing runs" in ask("U0ADA", "cancel").text
    ask("U0ADA", "deploy puppystream")
    assert "is cancelled" in ask("U0BOB", "cancel").text
    ask("U0ADA", "deploy prod")
    assert "nothing runs that you may cancel" in ask("U0BOB", "cancel").text
    assert "may not cancel on prod" in ask("U0BOB", "cancel 2").text
    ask("U0ADA", "deploy puppystream")
    assert "2 operations run; say which" in ask("U0ADA", "cancel").text
    assert "no operation #77" in ask("U0ADA", "cancel #77").text
    assert "is cancelled" in ask("U0ADA", "cancel #2").text
    assert "has ended already" in ask("U0ADA", "cancel 2").text


def test_a_database_that_is_away_accepts_nothing(dispatcher, ask, monkeypatch, tmp_path):
    dispatcher.store.close()
    (tmp_path / "packlead.db").unlink()
    (tmp_path / "packlead.db").mkdir()
    reply = ask("U0ADA", "deploy prod")
    assert not reply.ok and "nothing was accepted" in reply.text
