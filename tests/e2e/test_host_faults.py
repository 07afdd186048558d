"""A host goes away, hangs, or has no room left in the middle of a deploy; and the bot is restarted.

The roll stops there, whoever asked is told which host it was, and the others serve as before. When
the host is well again the next deploy finds it in whatever state it is, and brings it along.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.people import Asked, Person
from tests.e2e.test_scale_faults import hung
from tests.e2e.world import World
from tests.lab.load import Load
from tests.waiting import PATIENCE, until

Commit = Callable[[], tuple[str, str]]
SPARE = 24 * 1024  # bytes that are left on a full disk: less than a release takes

pytestmark = pytest.mark.soak


def serve(world: World, *names: str, seconds: float = PATIENCE) -> None:
    """Wait until these serve behind the balancer."""

    def all_well() -> bool:
        health = world.lab.fleet.health("prod")
        return all(health.get(name) == "healthy" for name in names)

    until(all_well, lambda: f"{names} serve: {world.lab.fleet.health('prod')}", seconds)


def stopped_at(
    world: World, deploy: Asked, host: str, *texts: str, seconds: float = PATIENCE
) -> None:
    """It has ended as failed, says at which host and why, and holds nothing any more."""
    deploy.ends("failed", seconds).is_told_in_full()
    deploy.has_card("stopped", host, *texts)
    assert world.store.holder("prod") is None
    assert world.store.locks.of("prod") is None
    deploy.is_said_once()


def brought_along(world: World, ada: Person, branch: str, new: str) -> None:
    """Said again, it is done everywhere."""
    again = ada.says(f"/deploy prod {branch} --only web").ends("done").is_followed_up()
    world.hosts.run(new, "prodweb")
    serve(world, "prodweb1", "prodweb2")
    world.is_at_rest(again.number)


def test_a_host_goes_away_while_it_is_switched(world: World, ada: Person, commit: Commit):
    branch, new = commit()
    old, machines = world.hosts.commit("prodweb2"), world.lab.machines
    with Load(world.lab.balancers["prod"], rate=20) as load:
        deploy = ada.says(f"/deploy prod {branch} --only web")
        deploy.does("switch web", "prodweb1: switch to the release")
        machines.stop_host("prodweb1")
        try:
            stopped_at(world, deploy, "prodweb1", "cannot be reached")
            deploy.has_said("prodweb1 needs a look")
            assert world.hosts.commit("prodweb2") == old, "the roll went on without it"
        finally:
            machines.start_host("prodweb1")
        brought_along(world, ada, branch, new)
    loses_slow_answers_only(load)


def loses_slow_answers_only(load: Load) -> None:
    """A host that had left the balancer takes with it what it was still giving."""
    assert not [failure for failure in load.failures if "/slow" not in failure], load.failures
    assert len(load.failures) == load.wrong <= 4


def test_a_host_hangs_while_it_is_switched(world: World, ada: Person, commit: Commit):
    """Its connections stay open and say nothing: after half a minute it counts as gone."""
    branch, new = commit()
    old = world.hosts.commit("prodweb2")
    with Load(world.lab.balancers["prod"], rate=20) as load:
        deploy = ada.says(f"/deploy prod {branch} --only web")
        deploy.does("switch web", "prodweb1: switch to the release")
        with hung(world, "prodweb1"):
            stopped_at(world, deploy, "prodweb1")
            assert world.hosts.commit("prodweb2") == old, "the roll went on without it"
        until(lambda: not world.visitors(), "what was begun there ends")
        brought_along(world, ada, branch, new)
    loses_slow_answers_only(load)


@contextlib.contextmanager
def full(world: World, name: str) -> Iterator[None]:
    """A host whose disk has no room left, from its next start on."""
    machines, srv = world.lab.machines, world.lab.machines.host(name).srv
    if not machines.machine.namespaces:
        pytest.skip("hosts have no disk of their own here: it needs root")
    aside = srv.with_name("srv-aside")
    machines.stop_host(name)
    srv.rename(aside)
    srv.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "packlead-test", str(srv)], check=True)
    try:
        subprocess.run(["cp", "-a", f"{aside}/.", str(srv)], check=True)
        machines.start_host(name)
        serve(world, name)
        used = shutil.disk_usage(srv).used
        subprocess.run(["mount", "-o", f"remount,size={used + SPARE}", str(srv)], check=True)
        yield
    finally:
        machines.stop_host(name)
        subprocess.run(["umount", "-l", str(srv)], check=True)
        srv.rmdir()
        aside.rename(srv)
        machines.start_host(name)


def test_a_host_has_no_room_left(world: World, ada: Person, commit: Commit):
    branch, new = commit()
    old = world.hosts.commits("prodweb")
    with full(world, "prodweb2"):
        with Load(world.lab.balancers["prod"], rate=20) as load:
            deploy = ada.says(f"/deploy prod {branch} --only web")
            stopped_at(world, deploy, "prodweb2", "No space left on device")
        assert not load.wrong
        assert world.hosts.commits("prodweb") == old, "something that serves was touched"
        assert deploy.states().get("switch web") in (None, "skipped")
        serve(world, "prodweb1", "prodweb2")
    serve(world, "prodweb1", "prodweb2")
    brought_along(world, ada, branch, new)


def test_credentials_expire_and_are_renewed_in_the_middle(
    world: World, ada: Person, commit: Commit
):
    branch, new = commit()
    deploy = ada.says(f"/deploy prod {branch} --only web")
    deploy.does("prepare")
    expired = [world.lab.aws.fault(action, "expired", times=2) for action in (
        "DescribeTargetHealth", "DeregisterTargets", "RegisterTargets", "CreateImage",
    )]  # fmt: skip
    deploy.ends("done").is_followed_up().is_told_in_full()
    assert [fault.hits for fault in expired] == [2, 2, 2, 2]
    world.hosts.run(new, "prodweb")


def test_ended_in_order_and_started_again_at_once(world: World, ada: Person, commit: Commit):
    """As a service manager restarts it: within half a minute, and the deploy does not notice."""
    branch, new = commit()
    deploy = ada.says(f"/deploy prod {branch} --only web")
    for step, task in (("prepare", ""), ("switch web", "prodweb1: leave the balancer")):
        deploy.does(step, task)
        began = time.monotonic()
        world.bot.stop(30)
        assert time.monotonic() - began < 30
        world.bot.start()
    deploy.ends("done").is_followed_up().is_told_in_full()
    world.hosts.run(new, "prodweb")
    deploy.is_said_once()
    [run] = world.runs_of(deploy.number)
    assert world.begun_of(deploy.number) == [run.name], "the playbook was begun once"
