"""What cannot be done is answered with one clear sentence, and nothing changes by it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bot.locks import Lock
from tests.e2e.people import Person
from tests.e2e.world import World

MISUNDERSTOOD = [
    ("/deploy prodd master", 'there is no environment "prodd"', 'did you mean "prod"?'),
    ("/deploy staging", 'there is no environment "staging"', "known: prod, puppystream"),
    ("/deploy prod mastr", 'no branch, tag or commit "mastr"', 'did you mean "master"?'),
    ("/deploy prod no/such/thing", 'no branch, tag or commit "no/such/thing"', "it has "),
    ("/deploy prod 0123456789abcdef", 'no branch, tag or commit "0123456789abcdef"'),
    ("/deploy prod \"{{ lookup('pipe','id') }}\"", "cannot be a branch, tag or commit here"),
    ("/deploy prod {{ lookup('pipe','id') }}", "usage: deploy ENV [REF]"),
    ("/deploy prod $(id)", '"$(id)" cannot be a branch, tag or commit here'),
    ("/deploy prod `id`", "cannot be a branch, tag or commit here"),
    ("/deploy prod --upload-pack=/tmp/evil", 'knows no "--upload-pack=/tmp/evil"'),
    ("/deploy prod —upload-pack=/tmp/evil", 'knows no "--upload-pack=/tmp/evil"'),
    ("/deploy prod -uevil", '"-uevil" cannot be a branch, tag or commit here'),
    ("/deploy prod <!channel>", "cannot be a branch, tag or commit here"),
    ("/deploy prod &lt;!channel&gt;", "cannot be a branch, tag or commit here"),
    (f"/deploy prod {'a' * 300}", "(300 characters)", "up to 200 letters"),
    ("/deploy", "deploy needs an ENV", "usage: deploy ENV [REF]"),
    ("/deploy prod master now please", 'what to do with "now please"', "usage: deploy ENV [REF]"),
    ("/deploy prod master --fast", 'deploy knows no "--fast"'),
    ("/deploy prod --only webb", 'there is no type "webb"', 'did you mean "web"?'),
    ("/deploy prod --only", '"--only" needs a TYPE'),
    ("/deploy prod --dry-run=yes", '"--dry-run" takes no value'),
    ("/packlead status prodd", 'there is no environment "prodd"'),
    ("/cancel tomorrow", '"tomorrow" is not the number of an operation'),
    ("/cancel 99999", "there is no operation #99999"),
    ("/packlead help deplyo", 'there is no command "deplyo"', 'did you mean "deploy"?'),
    ("deplyo prod", 'there is no command "deplyo"', 'did you mean "deploy"?'),
    ("deploy prod <!channel>", "cannot be a branch, tag or commit here"),
]


@pytest.fixture
def unchanged(world: World) -> Iterator[None]:
    before = world.state()
    yield
    assert world.state() == before


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("said", "answers"), [(x[0], x[1:]) for x in MISUNDERSTOOD], ids=[x[0] for x in MISUNDERSTOOD]
)
def test_what_is_not_understood(ada: Person, said: str, answers: tuple[str, ...]):
    ada.says(said).is_refused(*answers)


def test_curly_quotes_and_long_dashes_are_understood(world: World, ada: Person):
    told = ada.says("/deploy “puppystream” ‘v1.0’ —only web —dry-run", "C0PUPPY")
    told.ends("done").is_told_in_full()
    assert told.operation.line == "deploy puppystream v1.0 --only web --dry-run"
    told.has_said(f"comes: {world.lab.git.commits[2]} (v1.0)")


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("name", "answers"),
    [
        ("bob", ("bob may not deploy on prod", "ada may: ask there")),
        ("eve", ("eve may not deploy on prod", "ada may: ask there")),
        ("guest", ("Packlead does not know you",)),
        ("stranger", ("somebody from another workspace may not speak to Packlead",)),
    ],
)
def test_who_may_not(people: Callable[[str], Person], name: str, answers: tuple[str, ...]):
    people(name).says("/deploy prod master").is_refused(*answers)
    people(name).says("deploy prod master").is_refused(*answers)


@pytest.mark.usefixtures("unchanged")
def test_a_bot_is_not_even_answered(world: World, people: Callable[[str], Person]):
    people("robot").says("/deploy prod master").is_refused("Packlead does not know you")
    before = people("robot").hears()
    assert world.lab.slack.mention("U0ROBOT", "C0PROD", "deploy prod master").acked
    people("guest").says("deploy prod master").is_refused("does not know you")
    assert people("robot").hears() == before, "two bots would talk for ever"


@pytest.mark.usefixtures("unchanged")
def test_an_environment_that_somebody_keeps(world: World, ada: Person, bob: Person):
    since = time.time() - 720
    lock = world.store.locks.take(Lock("puppystream", "eve", "a visit of the mayor", since))
    try:
        for person in (ada, bob):
            person.says("/deploy puppystream master", "C0PUPPY").is_refused(
                "eve has kept puppystream for 12 min: a visit of the mayor", "ask eve, or wait"
            )
        ada.says("/packlead status puppystream").is_told(
            "locked: eve has kept puppystream for 12 min"
        )
    finally:
        assert world.store.locks.drop(lock)


@pytest.mark.usefixtures("unchanged")
def test_an_environment_without_instances(ada: Person):
    ada.says("/deploy puppycrate master", "C0OPS").is_refused(
        "puppycrate has no running instances", "tags Env=puppycrate, Type and Name"
    )
    ada.says("/packlead status puppycrate").is_told("puppycrate: no instances")


@pytest.mark.usefixtures("unchanged")
def test_a_repository_that_is_gone(world: World, ada: Person):
    here = Path(world.lab.repository)
    away = here.with_name("away.git")
    shutil.move(here, away)
    try:
        ada.says("/deploy prod master").is_refused(
            f"reading the repository {here}: fatal:", "nothing was changed", "packlead check"
        )
    finally:
        shutil.move(away, here)


@pytest.mark.usefixtures("unchanged")
def test_credentials_that_expire_under_a_running_bot(world: World, ada: Person):
    fault = world.lab.aws.fault("*", "expired", times=1000)
    ada.says("/deploy prod master").is_refused(
        "asking AWS for the instances of prod: the AWS credentials have expired", "renew them"
    )
    fault.times = 0
    assert "prodweb2" in ada.says("/packlead status prod").is_told("prodweb2"), "they were renewed"


@pytest.mark.usefixtures("unchanged")
def test_what_only_looks_is_answered_where_it_was_asked(ada: Person):
    asked = ada.says("/packlead status puppystream", "C0OPS")
    asked.is_told("puppystreamweb2")
    assert asked.answer == f"status puppystream: accepted as #{asked.number}"
    assert ada.hears("C0OPS")[-1].startswith("puppystream: 2 web")


@pytest.mark.usefixtures("unchanged")
def test_a_command_that_comes_twice_runs_once(world: World, ada: Person):
    asked = ada.says("/packlead status prod")
    asked.is_told("prodweb2")
    count = len(world.store.history())
    again = world.lab.slack.replay(world.lab.slack.deliveries[-1])
    assert again.acked and not again.answer
    assert len(world.store.history()) == count
