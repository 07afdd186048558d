"""`run ENV -- COMMAND`: the command's own words, its output as it comes, and never twice."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.events import Printed
from tests.e2e.people import Asked, Person
from tests.e2e.process import Packlead
from tests.e2e.world import World, on_host, sshd_of
from tests.waiting import until

LONG = "bark wau --times 4000 --every 0.1"


def printed(asked: Asked) -> str:
    return "".join(e.text for e in asked.events if isinstance(e, Printed))


def barks(asked: Asked) -> list[int]:
    return [int(line.split()[0]) for line in printed(asked).splitlines()]


def begins(asked: Asked) -> None:
    until(lambda: "3 [" in printed(asked), lambda: f"it prints {printed(asked)!r}")


@pytest.fixture(autouse=True)
def nothing_stays(world: World) -> Iterator[None]:
    yield
    for name in ("prodmanager1", "prodweb1"):
        until(lambda n=name: not on_host(world, n, "bark"), f"what ran on {name} ends")


def test_it_runs_where_it_should_and_is_told(world: World, ada: Person):
    run = ada.says("/run prod -- showmigrations pages", "C0OPS")
    run.ends("done").is_told_in_full()
    run.has_card("run manage.py showmigrations pages on prodmanager1", "done")
    run.has_said("the plan", "[X] 0001_", "ended well on prodmanager1")
    assert run.card.channel == "C0PROD"
    web = ada.says("/run prod --on web -- manage.py bark on the web")
    web.ends("done").has_card("manage.py bark on the web on prodweb1")
    ill = ada.says("/run prod -- bark grr --status 3").ends("failed")
    ill.has_card("manage.py bark grr --status 3 on prodmanager1 ended with status 3")
    ill.has_said('0 ["grr"]')


def test_each_word_arrives_as_it_was_quoted(ada: Person):
    words = ["a  b", "it's", '"quoted"', "$(id)", "`id`", "{{ 7 * 7 }}", "*", "~", "x;y|z&", "ä—“",
             "two\nlines", "\\", "", "!"]  # fmt: skip
    said = " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)
    run = ada.says(f"/run prod -- bark {said}").ends("done")
    assert json.loads(printed(run).partition(" ")[2]) == words
    phone = ada.says("/run prod — bark “two words” —times 2").ends("done").is_told_in_full()
    assert printed(phone) == '0 ["two words"]\n1 ["two words"]\n'


def test_two_megabytes(ada: Person):
    run = ada.says(f"/run prod -- bark {'x' * 90} --times 20000").ends("done").is_told_in_full()
    run.has_said("… 19980 lines before: the log has them", "19999 [")
    log, after = "", 0
    while page := run.world.store.entries(run.operation.id, after):
        log += "".join(e.event.text for e in page if isinstance(e.event, Printed))
        after = page[-1].number
    assert [int(line.split()[0]) for line in log.splitlines()] == list(range(20000))
    assert len(log) > 2_000_000


def test_what_may_not_be_run(world: World, ada: Person, bob: Person):
    before = world.state()
    ada.says("/run prod -- shell -c 'print(1)'").is_refused(
        "manage.py shell -c 'print(1)' may not be run", "app.run says !manage.py shell*"
    )
    ada.says("/run prod -- dbshell").is_refused("manage.py dbshell may not be run")
    ada.says("/run prod bark").is_refused('run does not know what to do with "bark"')
    ada.says("/run prod --").is_refused("run needs a -- COMMAND")
    ada.says("/run prod -- bark 'wau").is_refused("a quote is opened behind --")
    ada.says("/run puppystream --on celery -- bark").is_refused("no running celery instance")
    bob.says("/run prod -- bark").is_refused("bob may not run on prod")
    assert world.state() == before


@pytest.mark.soak
def test_cancel_and_time(world: World, ada: Person):
    run = ada.says(f"/run prod -- {LONG}")
    begins(run)
    assert run.operation.state == "running", "its output comes while it runs"
    ada.says(f"/cancel {run.number}")
    run.ends("cancelled").has_card("cancelled by ada", "it was ended there")
    late = ada.says(f"/run prod --for 8s -- {LONG}").ends("failed")
    late.has_card("ran for 8 s and was ended", "--for gives it more time")
    assert 2 < len(barks(late)) < 90


def test_the_bot_is_killed_and_finds_it_again(world: World, ada: Person):
    run = ada.says("/run prod -- bark wau --times 60 --every 0.2")
    begins(run)
    world.bot.kill()
    assert on_host(world, "prodmanager1", "bark")
    world.bot.start()
    run.ends("done").is_told_in_full()
    assert barks(run) == list(range(60)), "it ran once, and all of it is told"
    run.is_said_once()


def test_the_machine_goes_down_in_the_middle(world: World, ada: Person):
    run = ada.says(f"/run prod -- {LONG}")
    begins(run)
    world.bot.kill()
    folder = Path(world.config.data) / "remote" / str(run.number)
    os.kill(int((folder / "begun").read_text()), signal.SIGKILL)
    until(lambda: not on_host(world, "prodmanager1", "bark"), "the host ends it")
    world.bot.start()
    run.ends("failed").has_card("the run vanished without an end", "it is not run again")
    assert not on_host(world, "prodmanager1", "bark")
    assert barks(run) == list(range(len(barks(run)))), "it was not begun again"


def test_the_connection_drops(world: World, ada: Person):
    run = ada.says(f"/run prod -- {LONG}")
    begins(run)
    os.kill(sshd_of(on_host(world, "prodmanager1", "bark")[0]), signal.SIGKILL)
    run.ends("failed").has_card("the connection to prodmanager1 broke while manage.py bark")


@pytest.mark.soak
def test_two_at_a_time_and_none_in_the_way(world: World, ada: Person):
    first = ada.says(f"/run prod -- {LONG}")
    second = ada.says(f"/run prod -- {LONG}")
    begins(first)
    begins(second)
    for _ in range(9):  # more than there are lanes for those who only look
        ada.says("/packlead status prod").is_told("prodmanager1")
    for run in (first, second):
        ada.says(f"/cancel {run.number}")
        run.ends("cancelled")


def test_in_a_terminal(world: World):
    Packlead(world.lab.env, "run", "run", "prod", "--", "bark", "two words", "--times", "2").ends(
        0
    ).says('0 ["two words"]\n1 ["two words"]\n', "ended well on prodmanager1")
    Packlead(world.lab.env, "run", "run prod -- bark --status 4").ends(1).says("status 4")
