"""A key's rotation beside the switch phase of a deploy: the same hosts leave, restart and join."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from bot.events import StepEnded, StepStarted
from tests.bench.asked import Asker, Deploy, new_commit
from tests.bench.bot import Bot
from tests.bench.table import Figure, none, spread, within
from tests.lab.keys import put_first
from tests.lab.lab import Lab
from tests.lab.load import Load

FLEET = {"prod": {"web": 4, "celery": 2, "manager": 1}}
KEY = "TWITTER_KEY"
LIMIT = 1.1
RATE = 40.0  # requests of / a second: the hosts share this machine's cores
SWITCH = ("switch web", "switch the rest")


def measure(runs: int) -> Iterator[Figure]:
    """Let deploys and rotations take turns under load, and compare their medians."""
    deploys, rotations, whole = list[float](), list[float](), list[float]()
    asked = failed = 0
    with Lab(fleet=FLEET) as lab, Bot(lab) as bot, Load(lab.balancers["prod"], rate=RATE) as load:
        put_first(lab.aws, KEY)
        asker = Asker(lab, bot)
        for number in range(runs + 1):  # what a first turn takes longer does not count
            new_commit(lab, number)
            deploy = switching(asker.deploy("master"))
            asker.wait_idle()
            one = asker.end(asker.say("/rotate-key", f"{KEY} prod --generate"))
            asker.wait_idle()
            if number:
                deploys.append(deploy)
                rotations.append(switching(one))
                whole.append(own(one))
            print(
                f"turn {number}: a deploy switches in {deploy:.1f} s, a rotation in "
                f"{switching(one):.1f} s, {own(one):.1f} s with all before and after; "
                f"{load.asked} requests, {load.wrong} failed", flush=True,
            )  # fmt: skip
        asker.close()
    asked, failed = load.asked, load.wrong
    print(*load.failures[:5], sep="\n")
    yield Figure("c. the switch phase of a deploy, 4 web, 2 celery, 1 manager", spread(deploys, 1))
    yield Figure("c. the rotation of a key, its own such phase", spread(rotations, 1))
    yield Figure("c. the same, from the start of the operation to its end", spread(whole, 1))
    ratio = [median(whole) / median(deploys)]
    yield within("c. the whole rotation ÷ a deploy's switch phase", ratio, LIMIT, 2)
    yield none("c. failed requests under both", failed, f"{asked}")


def switching(one: Deploy) -> float:
    """Return the seconds from the first host's turn to the end of the last one's."""
    if one.state != "done":
        raise RuntimeError(f"{one.operation.line}: {one.state}\n{one.thread}")
    steps = [e for e in one.entries if isinstance(e.event, StepStarted | StepEnded)]
    mine = [e.at for e in steps if e.event.step in SWITCH]  # type: ignore[union-attr]
    return max(mine) - min(mine)


def own(one: Deploy) -> float:
    """Return the seconds of an operation by its own record."""
    assert one.operation.started and one.operation.finished
    return one.operation.finished - one.operation.started
