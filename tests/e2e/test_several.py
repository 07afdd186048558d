"""Several workers and webs on one Postgres: any may die or sleep, and nobody has to do anything."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from itertools import count, pairwise

import pytest

from bot.events import Note
from tests.e2e.conftest import CONFIG
from tests.e2e.people import Asked, Person
from tests.e2e.process import Packlead
from tests.e2e.several import Several, several, spans
from tests.lab.lab import Lab
from tests.lab.postgres import Postgres
from tests.waiting import PATIENCE, until

LEASE = 3.0
HUNDREDS = count(1, 100)
Commit = Callable[[], tuple[str, str]]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """One of its own: hosts remember numbers, which here begin anew with each database."""
    with Lab(config=CONFIG) as lab:
        lab.slack.ack_seconds = PATIENCE
        yield lab


@pytest.fixture
def lease() -> float:
    return LEASE


@pytest.fixture
def world(lab: Lab, server: Postgres, lease: float) -> Iterator[Several]:
    """A database of its own, and no machine yet; after the test all serve, and nobody works."""
    lab.slack.install(json.loads(Packlead(lab.env, "manifest").ends(0).out))
    world = several(lab, server.database(), lease, first=next(HUNDREDS))
    refused = len(lab.slack.refused)
    try:
        yield world
        until(lambda: not world.store.live(), lambda: f"{world.store.live()} ends")
        until(lambda: not [*world.hosts.wrong()], lambda: "; ".join(world.hosts.wrong()))
        assert world.store.audit.verify() == []
        assert not lab.slack.refused[refused:]
    except BaseException:
        for machine in world.machines.values():
            print(f"--- {machine.name}\n{machine.tail(60)}")
        raise
    finally:
        world.end()


def begin(world: Several, *names: str) -> None:
    """Start a web, and these machines' workers, all of them long enough to judge the others."""
    world.machine("front").start("web")
    for name in names:
        world.machine(name).start()


def is_well(world: Several, deploy: Asked, new: str, runs: int) -> None:
    """It ended well, its playbooks were never side by side, and it is told in one card."""
    deploy.ends("done").is_told_in_full(60)
    world.hosts.run(new, "prodweb")
    played = [run for run in world.runs_of(deploy.number) if not run.name.endswith("-mend")]
    assert len(played) == runs, f"played as {[run.name for run in played]}"
    times = sorted(span for run in world.runs_of(deploy.number) for span in spans(run))
    assert all(end <= start for (_, end), (start, _) in pairwise(times)), f"side by side: {times}"
    assert deploy.has_card("done", f"prod runs {new[:7]}")


@pytest.mark.soak
def test_a_killed_worker_is_taken_over_by_another_machine(world: Several, commit: Commit) -> None:
    """Its playbook is not to be found there: it has ended by itself, and is played again."""
    begin(world, "one", "two")
    branch, new = commit()
    deploy = Person("U0ADA", world).says(f"/deploy prod {branch} --only web")
    dead = world.player(deploy.number)
    until(lambda: world.hosts.is_out("prodweb1", "prod"), "prodweb1 leaves the balancer")
    dead.kill()
    is_well(world, deploy, new, runs=2)
    assert any(isinstance(e, Note) and "is gone" in e.text for e in deploy.events)
    assert not dead.runs(), "of the first playbook nothing is left"
    (first, last) = (json.loads((r / "code").read_text()) for r in world.runs_of(deploy.number)
                     if not r.name.endswith("-mend"))  # fmt: skip
    assert {first["why"], last["why"]} == {"lease", "ended"}


@pytest.mark.soak
@pytest.mark.parametrize("lease", [20.0])  # it must be back before anybody takes over
def test_a_worker_that_comes_back_goes_on_with_its_playbook(world: Several, commit: Commit) -> None:
    """Killed, or asked to end, as when Packlead is upgraded: the playbook was begun once."""
    begin(world, "one", "two")
    branch, new = commit()
    deploy = Person("U0ADA", world).says(f"/deploy prod {branch} --only web")
    home = world.player(deploy.number)
    deploy.does("prepare")
    home.kill()
    home.start()
    deploy.does("switch web")
    assert home.stop() < 30
    home.start()
    is_well(world, deploy, new, runs=1)


@pytest.mark.soak
def test_a_machine_that_slept_wakes_and_does_nothing(world: Several, commit: Commit) -> None:
    begin(world, "one", "two")
    branch, new = commit()
    deploy = Person("U0ADA", world).says(f"/deploy prod {branch} --only web")
    asleep = world.player(deploy.number)
    until(lambda: world.hosts.is_out("prodweb1", "prod"), "prodweb1 leaves the balancer")
    still = asleep.pause()
    deploy.ends("done")
    is_well(world, deploy, new, runs=2)
    before, entries = states(world), world.store.entries(deploy.operation.id)
    for pid in still:
        os.kill(pid, signal.SIGCONT)
    until(lambda: not asleep.runs(), "its playbook ends")
    time.sleep(2 * LEASE)
    assert states(world) == before, "no host was touched"
    assert world.store.entries(deploy.operation.id) == entries, "and nothing was told"
    branch, new = commit()  # and then it is a worker like any other
    again = Person("U0ADA", world).says(f"/deploy prod {branch} --only web")
    next(m for m in world.machines.values() if m.lives() and m is not asleep).kill()
    again.ends("done")


@pytest.mark.soak
def test_a_playbook_that_nobody_could_end_is_refused_by_the_hosts(
    world: Several, commit: Commit
) -> None:
    """Worker and supervisor stand still, the playbook goes on: the hosts hear the other one."""
    begin(world, "one", "two")
    world.lab.aws.fault("DeregisterTargets", "slow", seconds=LEASE * 4)  # so that it is late
    branch, new = commit()
    deploy = Person("U0ADA", world).says(f"/deploy prod {branch} --only web")
    asleep = world.player(deploy.number)
    deploy.does("switch web")
    supervisors = asleep.runs(b"supervisor.py")
    assert supervisors
    for pid in (asleep.pid(), *supervisors):
        os.kill(pid, signal.SIGSTOP)
    deploy.ends("done")
    old = next(r for r in world.runs_of(deploy.number) if asleep.folder in r.parents)
    told = until(
        lambda: [t for t in texts(old) if "too late" in t or "nobody looks after" in t],
        lambda: f"the first playbook is refused: {texts(old)}",
    )  # fmt: skip
    assert told
    world.hosts.run(new, "prodweb")
    for pid in (*supervisors, asleep.pid()):
        os.kill(pid, signal.SIGCONT)
    until(lambda: not asleep.runs(), "its playbook ends")
    deploy.is_told_in_full(60)


@pytest.mark.soak
def test_postgres_restarts_in_the_middle(world: Several, server: Postgres, commit: Commit) -> None:
    begin(world, "one", "two")
    branch, new = commit()
    deploy = Person("U0ADA", world).says(f"/deploy prod {branch} --only web")
    deploy.does("prepare")
    server.restart()
    deploy.does("switch web")
    server.restart(away=2 * LEASE)  # longer than any of them may trust itself
    deploy.ends("done")
    world.hosts.run(new, "prodweb")
    times = sorted(span for run in world.runs_of(deploy.number) for span in spans(run))
    assert all(end <= start for (_, end), (start, _) in pairwise(times)), f"side by side: {times}"


@pytest.mark.soak
def test_two_webs_hear_a_request_once_and_either_tells_the_rest(
    world: Several, commit: Commit
) -> None:
    begin(world, "one")
    world.machine("other").start("web")
    branch, new = commit()
    deploy = Person("U0ADA", world).says(f"/deploy prod {branch} --only web")
    deploy.does("prepare")
    world.machine("front").kill("web")
    is_well(world, deploy, new, runs=1)
    deploy.is_said_once()
    world.machine("front").start("web")
    assert world.machine("other").stop("web") < 30
    branch, new = commit()
    deploy = Person("U0ADA", world).says(f"/deploy prod {branch} --only web")
    is_well(world, deploy, new, runs=1)
    deploy.is_said_once()


def states(world: Several) -> dict[str, str]:
    """What each host remembers of who was there."""
    hosts = world.lab.machines
    return {name: (hosts.host(name).srv / "app/state.json").read_text() for name in world.lab.hosts}


def texts(run) -> list[str]:
    """What the tasks of a run said where they failed."""
    lines = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    return [str((line.get("result") or {}).get("msg", "")) for line in lines]
