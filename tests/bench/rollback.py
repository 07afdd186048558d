"""A bad release goes and the good one before it comes back, while visitors ask.

The bad one is in good health and answers 500 to those who ask for /. What it answered is told apart
by the commit in the answer: of all others not one request may fail.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from tests.bench.asked import Asker, Deploy, new_commit
from tests.bench.bot import Bot
from tests.bench.table import Figure, none, spread, within
from tests.lab.lab import Lab
from tests.lab.load import Load

FLEET = {"prod": {"web": 4, "celery": 2, "manager": 1}}
LIMIT = 0.5
RATE = 40.0  # requests of / a second: the hosts share this machine's cores


def measure(runs: int) -> Iterator[Figure]:
    """Deploy something good, then the bad one, and roll back; as often as is asked for."""
    deploys: list[float] = []
    rollbacks: list[float] = []
    asked = failed = blamed = 0
    elsewhere: list[str] = []
    with Lab(fleet=FLEET) as lab, Bot(lab) as bot:
        asker = Asker(lab, bot)
        for number in range(runs + 1):  # what a first turn takes longer does not count
            good = new_commit(lab, number)
            bad = lab.git.bad_build("front")
            with Load(lab.balancers["prod"], rate=RATE) as load:
                whole = [ended(asker, asker.deploy("master")), ended(asker, asker.deploy(bad))]
                back = ended(asker, asker.end(asker.say("/rollback", "prod")))
            asked, failed = asked + load.asked, failed + load.wrong
            blamed += load.wrong_by(lab.git.head(bad))
            elsewhere += [n for n in lab.hosts if serves(lab, n) != good]
            lab.slack.command(asker.user, "/unlock", "prod", "C0PROD")
            if number:
                deploys += whole
                rollbacks.append(back)
            print(
                f"turn {number}: deploys {whole[0]:.1f} s and {whole[1]:.1f} s, rollback "
                f"{back:.1f} s; {load.asked} requests, {load.wrong} failed", *load.failures[:3],
                flush=True,
            )  # fmt: skip
        asker.close()
    yield Figure("d. a full deploy, 4 web, 2 celery, 1 manager", spread(deploys, 1))
    yield Figure("d. a rollback of it", spread(rollbacks, 1))
    yield within("d. rollback ÷ deploy", [median(rollbacks) / median(deploys)], LIMIT, 2)
    yield none("d. hosts on something else after a rollback", len(elsewhere), f"{len(rollbacks)}")
    yield Figure("d. requests that the bad release failed", f"{blamed}", "> 0", broken=not blamed)
    yield none("d. failed requests beyond those", failed - blamed, f"{asked}")


def ended(asker: Asker, one: Deploy) -> float:
    """Return how long an operation took by its own record; raises where it did not end well."""
    asker.wait_idle()
    if one.state != "done":
        raise RuntimeError(f"{one.operation.line} ended as {one.state}:\n{one.thread}")
    assert one.operation.started and one.operation.finished
    return one.operation.finished - one.operation.started


def serves(lab: Lab, name: str) -> str:
    return (lab.machines.host(name).srv / "app/current/REVISION").read_text().strip()
