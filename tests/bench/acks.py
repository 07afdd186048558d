"""A hundred slash commands at the same instant, while three deploys run: how soon each is acked."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from tests.bench.asked import Asker, Deploy, new_commit
from tests.bench.bot import Bot
from tests.bench.table import Figure, none, spread, within
from tests.lab.lab import Lab
from tests.lab.slack import Delivery

FLEET = {"prod": {"web": 2}, "puppystream": {"web": 2}, "puppycrate": {"web": 2}}
# Half of them are looked up, some wait in the queue behind a deploy, some are answered at once.
COMMANDS = (
    [("/packlead", f"status {environment}") for environment in (*FLEET, "")] * 10
    + [("/deploy", f"{environment} master --dry-run") for environment in FLEET] * 10
    + [("/packlead", "help deploy"), ("/deploy", "prud master"), ("/nonsense", "")] * 10
)
MILLISECONDS = 500


def measure(runs: int) -> Iterator[Figure]:
    """One burst for each three deploys."""
    slowest, middle = list[float](), list[float]()
    lost = bad = 0
    for number in range(runs):
        # Each in a lab of its own: what a burst has asked for still waits in the last one's queue.
        with Lab(fleet=FLEET) as lab, Bot(lab) as bot:
            asker = Asker(lab, bot)
            new_commit(lab, number)
            given, ended = burst(lab, asker)
            asker.close()
        acked = [one.seconds * 1000 for one in given if one.acked]
        lost += len(given) - len(acked)
        bad += sum(one.state != "done" for one in ended)
        slowest.append(max(acked))
        middle.append(statistics.median(acked))
        print(
            f"{len(acked)} of {len(given)} acked, the slowest after {slowest[-1]:.0f} ms, "
            f"p50 {middle[-1]:.0f} ms",
            flush=True,
        )
    yield none("g. commands that were not acked", lost, f"{100 * runs}")
    yield none("g. deploys meanwhile that did not end well", bad, f"{3 * runs}")
    yield within("g. slowest ack of all", [max(slowest)], MILLISECONDS, 0, " ms")
    yield Figure("g. slowest ack of a burst", spread(slowest, 0, " ms"))
    yield Figure("g. p50", spread(middle, 0, " ms"))


def burst(lab: Lab, asker: Asker) -> tuple[list[Delivery], list[Deploy]]:
    """Begin three deploys, ask a hundred things once all of them run, and see the deploys end."""
    running = [asker.begin("master", environment) for environment in FLEET]
    until = time.monotonic() + 60
    while len(plays(asker)) < len(FLEET):
        if time.monotonic() > until:
            raise RuntimeError(f"not all three deploys run: {asker.store.live()}")
        time.sleep(0.1)
    words = [COMMANDS[n % len(COMMANDS)] for n in range(100)]
    given = lab.slack.commands([("U0ADA", name, text, "C0PROD") for name, text in words])
    return given, [asker.end(one) for one in running]


def plays(asker: Asker) -> list[str]:
    """Return the deploys whose playbook has begun."""
    kinds = {
        o.id: {e.event.__class__.__name__ for e in asker.store.entries(o.id)}
        for o in asker.store.live()
    }
    return [id for id, seen in kinds.items() if "StepStarted" in seen]
