"""Packlead's roll beside the talk's: the same tasks on the same hosts, in another order."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator
from pathlib import Path

from bot.adapters.ansible import playbooks
from tests.bench.asked import new_commit
from tests.bench.bare import Bare
from tests.bench.table import Figure, spread, within
from tests.lab.fleet import DELAY
from tests.lab.lab import Lab

FLEET = {"prod": {"web": 4, "celery": 2, "manager": 1}}
TALK = Path(__file__).with_name("talk") / "talk.yml"
LIMIT = 0.4
WAYS = {"packlead": "", "talk": "over", "talk, quick": "seen"}


def measure(runs: int) -> Iterator[Figure]:
    """Let the ways take turns, each with a commit of its own, and compare their medians."""
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    count = 0
    with Lab({"aws", "hosts", "balancer", "git"}, fleet=FLEET) as lab:
        bare = Bare(lab)
        one(lab, bare, "packlead", 0)  # whatever is read for the first time is read for all of them
        for way in [way for _ in range(runs) for way in WAYS]:
            count += 1
            seconds = one(lab, bare, way, count)
            times[way].append(seconds)
            print(f"{way}: {seconds:.1f} s", flush=True)
    middle = {way: statistics.median(taken) for way, taken in times.items()}
    yield Figure("d. deploy.yml, 4 web, 2 celery, 1 manager", spread(times["packlead"], 1))
    yield Figure(f"d. the talk's way, draining for {DELAY} s", spread(times["talk"], 1))
    yield Figure("d. the talk's way, going on when drained", spread(times["talk, quick"], 1))
    yield within("d. deploy.yml ÷ the talk's way", [middle["packlead"] / middle["talk"]], LIMIT, 2)
    ratio = middle["packlead"] / middle["talk, quick"]
    yield Figure("d. deploy.yml ÷ the talk's way, going on when drained", f"{ratio:.2f}")


def one(lab: Lab, bare: Bare, way: str, number: int) -> float:
    """Deploy a new commit in one of the ways; return the seconds it took."""
    commit = new_commit(lab, number)
    variables = {"commit": commit, "release": number, "packlead_epoch": number}
    if way == "packlead":
        ran = bare.run(playbooks() / "deploy.yml", variables)
    else:
        ours = playbooks()
        plugins = os.pathsep.join(
            map(str, (TALK.parent / "action_plugins", ours / "action_plugins"))
        )
        ran = bare.run(
            TALK, variables | {"drained": WAYS[way]},
            ANSIBLE_ROLES_PATH=str(ours / "roles"), ANSIBLE_LIBRARY=str(ours / "library"),
            ANSIBLE_FILTER_PLUGINS=str(ours / "filter_plugins"), ANSIBLE_ACTION_PLUGINS=plugins,
        )  # fmt: skip
    health = lab.fleet.health("prod")
    if set(health.values()) != {"healthy"}:
        raise RuntimeError(f"{way} left the hosts {health}")
    return ran.seconds
