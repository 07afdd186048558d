"""A kill, a reboot or a lost answer at chosen points of each command: the worst of them.

`python -m tests.soak points` walks all points; these are where the most is half done.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.people import Person
from tests.e2e.world import World
from tests.lab.capacity import Capacity
from tests.soak.blows import AFTER, BEFORE, LATE, LOST, AfterStep, AtCall, AtTask, Blow
from tests.soak.sites import BOT, PLAYBOOK, Call, Step, Task
from tests.soak.turns import MINIMUM, TURNS
from tests.soak.walk import Walk, say

REBOOT = True
CASES: list[tuple[str, Callable[[], Blow]]] = [
    ("deploy", lambda: AtTask(Task("begins", "switch to the release", "prodweb2", 1), REBOOT)),
    ("deploy", lambda: AtTask(Task("begins", "migrate the database", "prodmanager1", 1), REBOOT)),
    ("deploy", lambda: AfterStep(Step("the first ones", 5))),
    ("deploy", lambda: AtCall(Call("CreateImage", 1, BOT), AFTER)),
    ("rollback", lambda: AtTask(Task("ends", "leave the balancer", "prodweb1", 1), REBOOT)),
    ("rollback", lambda: AtTask(Task("begins", "join the balancer", "prodweb2", 1))),
    ("restart", lambda: AtTask(Task("begins", "restart the services", "prodweb1", 1), REBOOT)),
    ("rotate", lambda: AtTask(Task("ends", "give it the key", "prodweb1", 1), REBOOT)),
    ("rotate", lambda: AtCall(Call("PutParameter", 1, BOT), AFTER)),
    ("rotate", lambda: AtCall(Call("DeregisterTargets", 2, PLAYBOOK), BEFORE)),
    ("scale up", lambda: AtCall(Call("RunInstances", 1, BOT), LATE)),
    ("scale down", lambda: AtCall(Call("TerminateInstances", 1, BOT), AFTER)),
    ("prune", lambda: AtCall(Call("DeregisterImage", 2, BOT), AFTER)),
    ("prune", lambda: AtCall(Call("DeregisterImage", 1, BOT), LOST)),
]


@pytest.mark.soak
@pytest.mark.parametrize(("kind", "make"), CASES)
def test_no_harm_comes_of(world: World, ada: Person, kind: str, make: Callable[[], Blow]):
    with Capacity(world.lab, "prod", 0) as capacity:
        walk = Walk(world, ada, capacity, say)
        struck = walk.strike(TURNS[kind](world, ada), make())
        if len(world.hosts.names("prodweb")) > MINIMUM:
            walk.in_peace(TURNS["scale down"](world, ada))
    walk.end()
    assert not walk.wrong, "\n".join(walk.wrong)
    assert not capacity.broken, "\n".join(capacity.broken)
    assert struck.reached
