"""A fleet of more hosts than one worker should drive: many playbooks, and one card."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bot.events import HostReport
from bot.store import Operation
from tests.e2e.conftest import CONFIG, living_in
from tests.e2e.people import Asked, Person
from tests.e2e.world import World
from tests.lab import config as tables
from tests.lab.lab import Lab
from tests.lab.load import Load
from tests.waiting import until

pytestmark = pytest.mark.soak  # a lab of its own, of seven hosts
Commit = Callable[[], tuple[str, str]]
FLEET = {"prod": {"web": 2, "celery": 3, "manager": 1}}
SHARDS = {"ansible": {"shard": 2}}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(fleet=FLEET, config=tables.merged(CONFIG, SHARDS)) as lab:
        yield lab


@pytest.fixture(scope="module")
def house(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with living_in(lab, tmp_path_factory.mktemp("bot")) as world:
        yield world


def shards(deploy: Asked, phase: str) -> list[Operation]:
    children = deploy.world.store.children(deploy.operation.id)
    return [child for child in children if child.line.startswith(f"shard prod {phase}")]


def runs(deploy: Asked) -> list[str]:
    """The playbooks of a deploy and of its shards that were really begun."""
    parts = [c for c in deploy.world.store.children(deploy.operation.id) if c.command == "shard"]
    numbers = [deploy.number, *(child.number for child in parts)]
    return [run for number in numbers for run in deploy.world.begun_of(number)]


def plays(deploy: Asked, phase: str) -> bool:
    """Whether Ansible has said something in a shard of a phase."""
    numbers = [child.number for child in shards(deploy, phase)]
    found = [run for number in numbers for run in deploy.world.runs_of(number)]
    return any((run / "events.jsonl").exists() for run in found)


def are_at_rest(deploy: Asked) -> None:
    for child in deploy.world.store.children(deploy.operation.id):
        assert not child.live, child.line
        deploy.world.is_at_rest(child.number)
    deploy.world.is_at_rest(deploy.number)


def came_through(deploy: Asked, new: str) -> None:
    """It ended well on every host; every playbook was begun once, and every host is told once."""
    deploy.ends("done", 240)
    deploy.world.hosts.run(new, "prod")
    assert len(runs(deploy)) == len(set(runs(deploy))) == 3 + 1 + 2
    reports = [e.host for e in deploy.events if isinstance(e, HostReport)]
    assert sorted(reports) == sorted(deploy.world.hosts.names("prod"))
    deploy.is_told_in_full()
    deploy.is_said_once()
    are_at_rest(deploy)


def test_a_deploy_in_shards_has_one_card(world: World, ada: Person, commit: Commit):
    branch, new = commit()
    with Load(world.lab.balancers["prod"], rate=20) as load:
        deploy = ada.says(f"/deploy prod {branch}")
        came_through(deploy, new)
    assert not load.wrong, load.failures
    card = deploy.has_card("done", f"prod runs {new[:7]} on 6 hosts")
    [plan] = [block for block in card.blocks if block["type"] == "plan"]
    assert [task["status"] for task in plan["tasks"]] == ["complete"] * 4
    assert set(deploy.states()) == {"prepare", "migrate", "switch web", "switch the rest"}
    assert [len(shards(deploy, phase)) for phase in ("prepare", "switch the rest")] == [3, 2]
    said = deploy.has_said(f"prodweb1 serves {new[:7]}", "prod runs")
    assert f"prodcelery3 runs {new[:7]}" in said and "shard prod" not in said
    assert "shard prod" not in ada.says("/history prod").is_told("deploy prod")


def test_a_shard_that_cannot_prepare_stops_everything(world: World, ada: Person):
    old = world.hosts.commits("prod")
    branch = world.lab.git.bad_build("install")
    with Load(world.lab.balancers["prod"], rate=20) as load:
        deploy = ada.says(f"/deploy prod {branch}")
        deploy.ends("failed", 240).is_told_in_full()
    assert not load.wrong, load.failures
    assert world.hosts.commits("prod") == old
    assert deploy.states()["prepare"] == "failed"
    assert "migrate" not in deploy.states()
    assert {child.state for child in shards(deploy, "prepare")} <= {"failed", "cancelled"}
    deploy.has_card("stopped", "build the virtualenv on prod", "it stands now at")
    deploy.is_said_once()
    are_at_rest(deploy)


def test_cancelled_while_shards_prepare(world: World, ada: Person, commit: Commit):
    branch, _ = commit()
    old = world.hosts.commits("prod")
    deploy = ada.says(f"/deploy prod {branch}")
    until(lambda: plays(deploy, "prepare"), "a shard is played")
    ada.clicks(deploy.has_card("running"), "say:cancel", stale=True).is_told("is asked to stop")
    deploy.ends("cancelled", 240).is_told_in_full()
    assert world.hosts.commits("prod") == old
    assert {child.state for child in shards(deploy, "prepare")} <= {"cancelled", "done"}
    deploy.has_card("cancelled by ada", "it stands now at")
    are_at_rest(deploy)


@pytest.mark.parametrize("phase", ["prepare", "switch the rest"])
def test_killed_while_a_shard_is_played(world: World, ada: Person, commit: Commit, phase: str):
    branch, new = commit()
    deploy = ada.says(f"/deploy prod {branch}")

    until(lambda: plays(deploy, phase), f"a shard of {phase} is played", 240)
    world.bot.kill()
    world.bot.start()
    came_through(deploy, new)
