"""Scaling 2, 6, 2 while visitors ask: true copies come, nothing stays behind, no request fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from tests.bench.asked import Asker, Deploy, new_commit
from tests.bench.bot import Bot
from tests.bench.table import Figure, none, spread
from tests.lab.aws import PEEK
from tests.lab.copies import differences
from tests.lab.lab import Lab
from tests.lab.load import Load
from tests.soak.looking import serving

MASTER = "prodweb1"
FEW = [MASTER, "prodweb2"]
MANY = [f"prodweb{n}" for n in range(1, 7)]
PATIENCE = 30  # seconds for what AWS and the balancer still do after an operation has ended


class Round:
    """One time up and down; `wrong` holds a sentence for everything that was not as promised."""

    def __init__(self, lab: Lab, asker: Asker) -> None:
        self.lab, self.asker = lab, asker
        self.wrong: list[str] = []

    def up(self, live: str, old: bool) -> Deploy:
        """Go to six; each is in the balancer, on the live commit, and like the master.

        Where the image is `old`, the plan says that they have to be brought to the live commit.
        """
        ended = self.asker.end(self.asker.say("/scale", f"prod web {len(MANY)}"))
        self._ended("going to six", ended)
        before = len(self.wrong)
        self._compare("brought there", f"brought to {live[:7]}" in ended.thread, old)
        self._compare("in the balancer", in_balancer(self.lab), dict.fromkeys(MANY, "healthy"))
        self._compare("served", serving(self.lab), dict.fromkeys(MANY, live))
        for name in MANY[len(FEW) :]:
            self.wrong += differences(self.lab.fleet, MASTER, name)
            self._compare(f"the maker of {name}", maker(self.lab, name), ended.operation.id)
        if len(self.wrong) > before:
            print(ended.thread)
        return ended

    def down(self, before: dict[str, list[str]]) -> Deploy:
        """Go back to two, which is asked about first; nothing of the others is left anywhere."""
        asked = self.asker.say("/scale", f"prod web {len(FEW)}")
        self.asker.question(asked)
        self._compare("in the balancer at the question", sorted(in_balancer(self.lab)), MANY)
        ended = self.asker.end(self.asker.approve(asked))
        self._ended("yes to it", ended)
        # A real balancer shows who has left as draining for a while, and then no more.
        eventually(lambda: left(self.lab) == before and sorted(in_balancer(self.lab)) == FEW)
        for what, names in left(self.lab).items():
            self._compare(what, names, before[what])
        self._compare("in the balancer", in_balancer(self.lab), dict.fromkeys(FEW, "healthy"))
        return ended

    def _ended(self, what: str, ended: Deploy) -> None:
        if ended.state != "done":
            self.wrong.append(f"{what} is {ended.state}:\n{ended.thread}")

    def _compare(self, what: str, found: object, wanted: object) -> None:
        if found != wanted:
            self.wrong.append(f"{what}: {found}, and wanted is {wanted}")


def measure(times: int) -> Iterator[Figure]:
    """Go up and down so often; from the second time on the image is older than what is live."""
    wrong: list[str] = []
    ups: list[float] = []
    downs: list[float] = []
    with Lab() as lab, Bot(lab) as bot, Load(lab.balancers["prod"]) as load:
        asker = Asker(lab, bot)
        for number in range(times):
            live = deployed(lab, asker, number, image=number == 0)
            before, failed = left(lab), load.wrong
            one = Round(lab, asker)
            ups.append(one.up(live, old=number > 0).seconds)
            downs.append(one.down(before).seconds)
            wrong += one.wrong
            print(
                f"{number + 1}: up in {ups[-1]:.1f} s, down in {downs[-1]:.1f} s, "
                f"{load.wrong - failed} requests failed; {' '.join(one.wrong) or 'well'}",
                flush=True,
            )
        asker.wait_idle()
        asker.close()
        refused = lab.slack.refused
    print(*load.failures, *wrong, sep="\n", end="\n" if load.failures or wrong else "")
    yield none("a. what was not as promised, going 2, 6, 2", len(wrong), f"{times} times")
    yield none(
        "a. failed requests under it", load.wrong, f"{load.asked} ({load.slow} slow ones of 2 s)"
    )
    yield Figure("a. 2 to 6, from the command to the final card", spread(ups, 1))
    yield Figure("a. 6 to 2, from yes to the final card", spread(downs, 1))
    yield none("a. messages that Slack refused", len(refused), f"{len(lab.slack.calls)} calls")


def deployed(lab: Lab, asker: Asker, number: int, image: bool) -> str:
    """Deploy a new commit, whose image succeeds or fails, and return it."""
    lab.aws.fail_images(0 if image else 20)
    commit = new_commit(lab, number)
    ended = asker.deploy("master")
    asker.wait_idle()
    lab.aws.fail_images(0)
    if ended.state != "done":
        raise RuntimeError(f"the deploy before scaling is {ended.state}:\n{ended.thread}")
    return commit


def in_balancer(lab: Lab) -> dict[str, str]:
    """Return how each web host stands, in haproxy's own words, whatever AWS is told."""
    names = {id: name for name, id in lab.fleet.ids("prod").items()}
    return {names.get(id, id): state for id, (state, _) in lab.balancer.health(group(lab)).items()}


def left(lab: Lab) -> dict[str, list[str]]:
    """Return all that scaling makes and has to take away again, by its kind."""
    ec2, elb = lab.aws.client("ec2", PEEK), lab.aws.client("elbv2", PEEK)
    targets = elb.describe_target_health(TargetGroupArn=group(lab))["TargetHealthDescriptions"]
    volumes = ec2.get_paginator("describe_volumes").paginate().search("Volumes[].VolumeId")
    return {
        "instances": sorted(lab.fleet.ids().values()),
        "targets": sorted(row["Target"]["Id"] for row in targets),
        "volumes": sorted(volumes),
        "hosts": sorted(lab.machines.addresses),
    }


def group(lab: Lab) -> str:
    elb = lab.aws.client("elbv2", PEEK)
    found = elb.describe_target_groups(Names=["prod-web"])["TargetGroups"]
    return str(found[0]["TargetGroupArn"])


def maker(lab: Lab, name: str) -> str:
    """Return the operation that an instance says has launched it."""
    row = lab.fleet.rows("prod").get(name, {"Tags": []})
    return next((str(t["Value"]) for t in row["Tags"] if t["Key"] == "Operation"), "")


def eventually(true: Callable[[], bool]) -> None:
    """Return when it is true, or when it was not for long enough."""
    until = time.monotonic() + PATIENCE
    while not true() and time.monotonic() < until:
        time.sleep(0.2)
