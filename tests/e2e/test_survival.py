"""The bot may be killed at any moment: the playbook goes on, the next process tells the rest."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.people import SAID_AGAIN, Asked, Person
from tests.e2e.world import World
from tests.lab.load import Load
from tests.soak.turns import shelve
from tests.waiting import until

Commit = Callable[[], tuple[str, str]]
GONE = "and their snapshots are gone"  # the last words of a prune


def came_through(world: World, deploy: Asked, new: str) -> None:
    """The deploy ended well, was begun once, and is told once and in full."""
    deploy.ends("done").is_followed_up().is_told_in_full()
    world.hosts.run(new, "prodweb")
    [run] = world.runs_of(deploy.number)
    assert world.begun_of(deploy.number) == [run.name], "the playbook was begun once"
    deploy.has_card("done", f"prod runs {new[:7]} on 2 hosts")
    deploy.has_said(
        "the plan", f"prodweb1 serves {new[:7]}", f"prodweb2 serves {new[:7]}", "prod runs",
        "of prodweb1 is there",
    )  # fmt: skip
    deploy.is_said_once()
    assert world.store.holder("prod") is None
    world.is_at_rest(deploy.number)


@pytest.mark.soak
def test_killed_while_hosts_are_prepared(world: World, ada: Person, commit: Commit):
    branch, new = commit()
    with Load(world.lab.balancers["prod"], rate=20) as load:
        deploy = ada.says(f"/deploy prod {branch} --only web")
        deploy.is_said_so_far()
        deploy.does("prepare")
        world.bot.kill()
        assert "switch web" not in deploy.states()
        world.bot.start()
        came_through(world, deploy, new)
    assert not load.wrong, load.failures


def test_killed_again_while_a_host_is_out_of_the_balancer(
    world: World, ada: Person, commit: Commit
):
    """And before, so that this one falls while the bot goes on with what it has found."""
    branch, new = commit()
    with Load(world.lab.balancers["prod"], rate=20) as load:
        deploy = ada.says(f"/deploy prod {branch} --only web")
        deploy.does("prepare")
        world.bot.kill()
        world.bot.spawn()
        until(lambda: world.hosts.is_out("prodweb1", "prod"), "prodweb1 leaves the balancer")
        world.bot.kill()
        world.bot.start()
        came_through(world, deploy, new)
    assert not load.wrong, load.failures


def test_stopped_and_the_roll_ends_without_a_bot(world: World, ada: Person, commit: Commit):
    branch, new = commit()
    deploy = ada.says(f"/deploy prod {branch} --only web")
    deploy.does("prepare")
    world.bot.stop()
    [run] = world.runs_of(deploy.number)
    until((run / "code").exists, "the playbook ends on its own")
    world.hosts.run(new, "prodweb")
    assert deploy.operation.state == "running", "nobody was there to say that it is done"
    world.bot.start()
    came_through(world, deploy, new)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("method", ["chat.postMessage", "chat.update"])
def test_killed_at_its_last_words_in_slack(world: World, ada: Person, method: str, when: str):
    """In the thread, or on the card: they are there after the restart, perhaps with one repeat."""
    shelve(world, "puppystream", "puppystreamweb1")
    world.lab.aws.fault("DeregisterImage", "slow", seconds=3)  # else the card comes with its end

    def says_it(args: dict[str, object]) -> bool:
        return GONE in str(args["text"]) and ("thread_ts" in args or method == "chat.update")

    last = world.lab.slack.fault(method, when, match=says_it, call=world.bot.kill)
    prune = ada.says("/prune puppystream --keep 1", "C0PUPPY")
    until(lambda: not world.bot.lives, lambda: f"it is killed {when} {method}; {last}")
    world.bot.start()
    prune.ends("done").is_told_in_full()
    prune.has_card("done", GONE)
    first, *more = [m.wording for m in prune.thread if GONE in m.wording]
    assert GONE in first and len(more) <= (method == "chat.postMessage" and when == "after"), more
    assert all(SAID_AGAIN in repeat for repeat in more), f"repeated without a mark: {more}"
