"""What `packlead up` weighs while it has nothing to do, and how soon it answers."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.bench.bot import Bot
from tests.bench.table import Figure, spread, within
from tests.lab.lab import Lab

SETTLED = 5.0  # seconds after which it is called idle
MEGABYTES, SECONDS = 150, 3


def measure(runs: int) -> Iterator[Figure]:
    """Start it so often, each time with nothing but its database left of the time before."""
    rss, pss, ready = list[float](), list[float](), list[float]()
    with Lab({"slack"}) as lab:
        for _ in range(runs):
            bot = Bot(lab)
            bot.start()
            try:
                ready.append(acks_after(lab, bot))
                time.sleep(SETTLED)
                now, own = bot.resident()
            finally:
                bot.stop()
            rss.append(now)
            pss.append(own)
    yield within("h. seconds until it acks", ready, SECONDS, 2, " s")
    yield within("h. resident, idle and connected", rss, MEGABYTES, 0, " MB")
    yield Figure("h. of that its own share (PSS)", spread(pss, 0, " MB"))


def acks_after(lab: Lab, bot: Bot) -> float:
    """Return how long after its start a command was first acked."""
    while True:
        if lab.slack.connections and lab.slack.command("U0ADA", "/packlead", "help").acked:
            return time.monotonic() - bot.started
        if not bot.alive or time.monotonic() - bot.started > 60:
            raise RuntimeError(f"the bot does not answer:\n{bot.tail()}")
        time.sleep(0.01)
