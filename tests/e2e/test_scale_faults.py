"""Scaling under faults, at every call of AWS: as many as asked, and never fewer than the minimum.

`python -m tests.soak points` walks all of it; here each call that changes something is struck in
the ways of a fixed rule.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import pytest

from tests.e2e.people import Person
from tests.e2e.world import World
from tests.lab import invariants
from tests.lab.aws import PEEK
from tests.lab.capacity import Capacity
from tests.soak.blows import AtCall, blows
from tests.soak.turns import MINIMUM, Scale, Turn
from tests.soak.walk import Walk, say
from tests.waiting import until

THROTTLED, LOST = 0.3, 0.1  # of all calls
SEED = 20261123
KEEPERS = ("unshare", "leash.py")  # they hold a host's processes, and are none of them


def sample(found: list[AtCall], first: int) -> list[AtCall]:
    """Choose for each site one of its faults, counted on from site to site."""
    sites = list(dict.fromkeys(blow.site for blow in found))
    chosen = []
    for number, site in enumerate(sites, first):
        mine = [blow for blow in found if blow.site == site]
        chosen.append(mine[number % len(mine)])
    return chosen


def changes(walk: Walk, turn: Turn) -> list[AtCall]:
    """Run a turn in peace; return the blows at its calls that change something."""
    every = list(blows(walk.world, walk.in_peace(turn), walk.since, walk.heard))
    return [blow for blow in every if isinstance(blow, AtCall) and not blow.site.looks]


@pytest.mark.soak
def test_no_call_may_be_killed_or_lost_to_any_harm(world: World, ada: Person):
    ada.says("/image prod web").ends("done")
    with Capacity(world.lab, "prod", MINIMUM) as capacity:
        walk = Walk(world, ada, capacity, say)
        up, down = Scale(world, ada, 3, 2), Scale(world, ada, 2, 3)
        ups, downs = changes(walk, up), changes(walk, down)
        for one, other in zip_longest(sample(ups, 2), sample(downs, 0)):
            for turn, blow in ((up, one), (down, other)):
                if blow:
                    walk.strike(turn, blow)
        if len(world.hosts.names("prodweb")) > MINIMUM:
            walk.in_peace(down)
    walk.end()
    assert not walk.wrong, "\n".join(walk.wrong)
    assert not capacity.broken, "\n".join(capacity.broken)
    assert all(strike.reached for strike in walk.strikes), "every site was struck"
    assert {blow.site.action for blow in (*ups, *downs)} == {
        "RunInstances", "RegisterTargets", "DeregisterTargets", "TerminateInstances",
    }  # fmt: skip


@pytest.mark.soak
def test_the_minimum_serves_whatever_happens_on_the_way_down(world: World, ada: Person):
    aws, dice = world.lab.aws, random.Random(SEED)
    live = world.hosts.commit("prodweb1")
    if not invariants.inventory(world.lab).images:
        ada.says("/image prod web").ends("done")
    up = ada.says("/scale prod web 4").ends("done")
    with Capacity(world.lab, "prod", MINIMUM) as capacity:
        capacity.mark("AWS throttles and loses answers, and prodweb4, which goes, hangs")
        aws.fault("*", "throttle", times=1000, chance=lambda: dice.random() < THROTTLED)
        lost = aws.fault("*", "lost", times=1000, chance=lambda: dice.random() < LOST)
        with hung(world, "prodweb4"):
            down = ada.says("/scale prod web 3").ends("done")
        down.has_said("prodweb4", "did not stop in order")
        aws.faults.clear()
        assert lost.hits

        capacity.mark("prodweb2, which stays, hangs")
        with hung(world, "prodweb2"):
            until(lambda: world.hosts.is_out("prodweb2", "prod"), "prodweb2 is seen to hang")
            ada.says("/scale prod web 2").is_refused(
                "prodweb2 is not healthy in the balancer: 1 web would serve, prod needs 2"
            )
        assert world.lab.fleet.health("prod")["prodweb3"] == "healthy", "nothing has left"

        capacity.mark("AWS does not let us terminate")
        aws.fault("TerminateInstances", "error", code="UnauthorizedOperation", status=403)
        denied = ada.says("/scale prod web 2").ends("failed")
        denied.has_card("AWS does not allow ec2:TerminateInstances")
        denied.has_said("putting back what was on its way out")
        assert not [*invariants.fleet(world.lab, "prod", "web", 3, live)]

        capacity.mark("somebody takes prodweb3 out by hand")
        elb, id = aws.client("elbv2", PEEK), world.lab.fleet.ids("prod")["prodweb3"]
        [group] = elb.describe_target_groups(Names=["prod-web"])["TargetGroups"]
        elb.deregister_targets(TargetGroupArn=group["TargetGroupArn"], Targets=[{"Id": id}])
        until(lambda: world.hosts.is_out("prodweb3", "prod"), "prodweb3 is out")
        back = ada.says("/scale prod web 3").ends("done")
        back.has_card("prod has 3 web already; prodweb3 joined the balancer")
        assert not [*invariants.fleet(world.lab, "prod", "web", 3, live)]
        nothing = ada.says("/scale prod web 3").ends("done")
        assert not world.begun_of(nothing.number), "all is as asked"

        capacity.mark("AWS throttles")
        aws.fault("*", "throttle", times=1000, chance=lambda: dice.random() < THROTTLED)
        again = ada.says("/scale prod web 2").ends("done")
        aws.faults.clear()
    assert not capacity.broken, "\n".join(capacity.broken)
    assert capacity.lowest == MINIMUM, "it came that far down"
    assert not [*invariants.fleet(world.lab, "prod", "web", 2, live)]
    assert not [*invariants.locks(world.store)]
    for asked in (up, down, denied, back, again):
        assert not [*invariants.ended(world.store, asked.number)]


@contextlib.contextmanager
def hung(world: World, name: str) -> Iterator[None]:
    """A host on which every process stands still: it is there, and answers nothing."""
    found = [p for p in below(world.lab.machines.host(name).pid) if not keeps(p)]
    assert found, f"nothing runs on {name}"
    tell(found, signal.SIGSTOP)
    try:
        yield
    finally:
        tell(found, signal.SIGCONT)


def below(process: int) -> Iterator[int]:
    """Yield the children of a process, and theirs."""
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        for child in map(int, children.read_text().split()):
            yield child
            yield from below(child)


def keeps(process: int) -> bool:
    line = Path(f"/proc/{process}/cmdline").read_bytes().decode()
    return any(name in line for name in KEEPERS)


def tell(those: list[int], number: signal.Signals) -> None:
    for process in those:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)
