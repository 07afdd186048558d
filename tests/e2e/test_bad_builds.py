"""A build that is no good: at most one host is touched and put back, and the thread says why."""

from __future__ import annotations

import pytest

from tests.e2e.people import Person
from tests.e2e.world import World
from tests.lab.load import Load

ENVIRONMENT = "puppystream"
BAD = [
    ("exits", "pass the health check", "there is no file LICENCE"),
    ("migration", "migrate the database", "3 notes have no date"),
]


@pytest.mark.parametrize(
    ("kind", "task", "output"),
    [
        pytest.param(*bad, id=bad[0], marks=[pytest.mark.soak] * (bad[0] == "migration"))
        for bad in BAD
    ],
)
def test_a_bad_build_stops_and_harms_nobody(
    world: World, ada: Person, kind: str, task: str, output: str
):
    branch = world.lab.git.bad_build(kind)
    old, new = world.hosts.commits(ENVIRONMENT), world.lab.git.head(branch)
    with Load(world.lab.balancers[ENVIRONMENT], rate=20) as load:
        deploy = ada.says(f"/deploy {ENVIRONMENT} {branch}", "C0PUPPY")
        deploy.ends("failed").is_told_in_full()
    assert not load.wrong, load.failures
    assert world.hosts.commits(ENVIRONMENT) == old
    assert not [*world.hosts.wrong()]
    assert world.store.holder(ENVIRONMENT) is None
    world.is_at_rest(deploy.number)

    card = deploy.has_card("stopped", f"{task} on puppystreamweb1", "it stands now at")
    assert [button.label for button in card.buttons] == ["Retry", "Roll back"]
    thread = deploy.has_said(
        f"deploy {new[:7]} ({branch})", f"puppystreamweb1: {task} did not work", output,
        f"{task} on puppystreamweb1",
    )  # fmt: skip
    assert "puppystreamweb2: switch" not in thread
    assert f"serves {new[:7]}" not in thread
    if kind == "exits":
        back = old["puppystreamweb1"][:7]
        assert "puppystreamweb1 is back" in thread and back in thread
    deploy.is_said_once()
