"""Deploys in a row while visitors ask: not one request may fail."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.asked import Asker, Deploy, new_commit
from tests.bench.bot import Bot
from tests.bench.table import Figure, none, spread
from tests.lab.lab import Lab
from tests.lab.load import Load
from tests.soak.looking import serving

MOST = 40  # deploys, where the requests take longer to come together


def measure(deploys: int, requests: int) -> Iterator[Figure]:
    """Deploy at least so often, and until so many requests were answered."""
    ended: list[Deploy] = []
    elsewhere: list[str] = []
    with Lab() as lab, Bot(lab) as bot, Load(lab.balancers["prod"]) as load:
        asker = Asker(lab, bot)
        while len(ended) < deploys or (load.asked < requests and len(ended) < MOST):
            commit = new_commit(lab, len(ended))
            ended.append(asker.deploy("master"))
            elsewhere += [name for name, live in serving(lab).items() if live != commit]
            print(
                f"deploy {len(ended)}: {ended[-1].state} after {ended[-1].seconds:.1f} s, "
                f"{load.asked} requests so far, {load.wrong} failed",
                flush=True,
            )
        asker.wait_idle()
        asker.close()
        refused = lab.slack.refused
    print(*load.failures, sep="\n", end="\n" if load.failures else "")
    bad = sum(one.state != "done" for one in ended)
    yield none("b. deploys in a row that did not end well", bad, f"{len(ended)}")
    yield none(
        "b. hosts that did not serve the new commit", len(elsewhere), f"{len(ended)} deploys"
    )
    yield none(
        "b. failed requests under them", load.wrong, f"{load.asked} ({load.slow} slow ones of 2 s)"
    )
    yield Figure("b. requests", f"{load.asked}", f"≥ {requests}", over=load.asked < requests)
    slowest = load.seen.get("slowest", 0.0)
    yield Figure("b. slowest answer of /", f"{slowest:.2f} s")
    seconds = [one.seconds for one in ended]
    yield Figure("b. a deploy, from the command to the final card", spread(seconds, 1))
    yield none("b. messages that Slack refused", len(refused), f"{len(lab.slack.calls)} calls")
