"""Stop in the middle: nothing is left running, and whoever left the balancer is back in it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.people import Asked, Person
from tests.e2e.world import World
from tests.lab.load import Load
from tests.waiting import until

Commit = Callable[[], tuple[str, str]]
ENVIRONMENT = "puppystream"


def was_put_back(world: World, deploy: Asked, by: str, old: dict[str, str], new: str) -> None:
    """It ended as cancelled, at rest, and the card says how the hosts stand."""
    deploy.ends("cancelled").is_told_in_full()
    world.is_at_rest(deploy.number)
    assert not [*world.hosts.wrong()]
    assert world.store.holder(ENVIRONMENT) is None
    commits = world.hosts.commits(ENVIRONMENT)
    assert all(commit in (new, old[name]) for name, commit in commits.items())
    card = deploy.has_card(f"cancelled by {by}", "it stands now at")
    stands = card.wording.partition("it stands now at ")[2].splitlines()[0]
    for commit in set(commits.values()):
        here = [name for name in commits if commits[name] == commit]
        assert f"{commit[:7]} on {' and '.join(here)}" in stands, stands
    thread = deploy.has_said("the plan", f"{by} asks to stop", "putting back what was begun")
    assert "is in the balancer" in thread
    deploy.is_said_once()


def test_by_the_button_while_a_host_is_out(
    world: World, ada: Person, bob: Person, people: Callable[[str], Person], commit: Commit
):
    branch, new = commit()
    old = world.hosts.commits(ENVIRONMENT)
    with Load(world.lab.balancers[ENVIRONMENT], rate=20) as load:
        deploy = ada.says(f"/deploy {ENVIRONMENT} {branch}", "C0PUPPY")
        after = bob.says(f"/deploy {ENVIRONMENT} {branch}", "C0PUPPY")
        after.has_card("waits")
        card = deploy.has_card("running")
        people("eve").clicks(card, "say:cancel").is_refused("eve may not cancel", "ada, bob may")
        bob.clicks(after.card, "say:cancel").is_told("is cancelled; it had not begun")
        after.ends("cancelled")
        until(lambda: world.hosts.is_out("puppystreamweb1", ENVIRONMENT), "it leaves the balancer")
        assert world.processes_of(deploy.number)
        bob.clicks(card, "say:cancel", stale=True).is_told("is asked to stop")
        was_put_back(world, deploy, "bob", old, new)
    assert not load.wrong, load.failures
    assert world.hosts.commit("puppystreamweb2") == old["puppystreamweb2"]
    assert "Cancel" not in [button.label for button in deploy.card.buttons]
    after.has_card("cancelled by bob", "before it began")


@pytest.mark.soak
def test_by_a_command_and_then_once_more(world: World, ada: Person, commit: Commit):
    branch, new = commit()
    old = world.hosts.commits(ENVIRONMENT)
    with Load(world.lab.balancers[ENVIRONMENT], rate=20) as load:
        deploy = ada.says(f"/deploy {ENVIRONMENT} {branch}", "C0PUPPY")
        until(lambda: world.hosts.is_out("puppystreamweb2", ENVIRONMENT), "it leaves the balancer")
        said = ada.says("/cancel", "C0OPS").answer
        assert f"#{deploy.number} (deploy {ENVIRONMENT} {branch}) is asked to stop" in said
        was_put_back(world, deploy, "ada", old, new)
        assert world.hosts.commit("puppystreamweb1") == new, "what was done before stays done"
        assert "has ended already" in ada.says(f"/cancel {deploy.number}").answer

        card = deploy.card
        again = ada.clicks(card, "once:retry")
        assert "asked before" in ada.clicks(card, "once:retry", stale=True).answer
        again.ends("done").is_followed_up().is_told_in_full()
    assert not load.wrong, load.failures
    world.hosts.run(new, ENVIRONMENT)


@pytest.mark.soak
def test_killed_while_it_puts_back(world: World, ada: Person, commit: Commit):
    branch, new = commit()
    old = world.hosts.commits(ENVIRONMENT)
    deploy = ada.says(f"/deploy {ENVIRONMENT} {branch}", "C0PUPPY")
    until(lambda: world.hosts.is_out("puppystreamweb1", ENVIRONMENT), "it leaves the balancer")
    ada.says(f"/cancel #{deploy.number}", "C0PUPPY")
    deploy.has_said("putting back what was begun")
    deploy.is_said_so_far()
    world.bot.kill()
    assert deploy.operation.state == "running"
    world.bot.start()
    was_put_back(world, deploy, "ada", old, new)
    assert world.begun_of(deploy.number) == [run.name for run in world.runs_of(deploy.number)]
