"""A `git push` beside the slash command: seconds until the first host is touched."""

from __future__ import annotations

import json
import re
import statistics
import time
from collections.abc import Iterator

from bot.fronts.github import PATH
from tests.bench.asked import Asker, new_commit
from tests.bench.bot import Bot
from tests.bench.table import Figure, spread, within
from tests.lab.lab import Lab

ENVIRONMENT, CHANNEL = "puppystream", "C0PUPPY"
FLEET = {ENVIRONMENT: {"web": 2}}
SIDE = "side"  # a commit waits here, so that only its push is measured
LIMIT = 1.2
URL = re.compile(r"listening on (http://\S+)")


def measure(runs: int) -> Iterator[Figure]:
    """Let both take turns on the same hosts, each with a commit of its own."""
    pushed, typed, heard = list[float](), list[float](), list[float]()
    with Lab(fleet=FLEET) as lab, Bot(lab) as bot:
        asker = Asker(lab, bot)
        hook = URL.findall(bot.log.read_text())[-1] + PATH
        for number in range(2 * runs + 2):
            by_push = number % 2 == 0
            lab.git.webhook_url = hook if by_push else ""
            seconds, recorded = one(lab, bot, asker, number, by_push)
            if number > 1:  # what is read for the first time counts for neither
                (pushed if by_push else typed).append(seconds)
                heard += [recorded] if by_push else []
            print(f"{'git push' if by_push else '/deploy'}: {seconds:.2f} s", flush=True)
        asker.close()
    ratio = statistics.median(pushed) / statistics.median(typed)
    yield Figure("a. from `git push` to the first host", spread(pushed))
    yield Figure(
        "a. of which until its webhook is recorded, git's own time included", spread(heard)
    )
    yield Figure("a. from the slash command to the first host", spread(typed))
    yield within("a. push ÷ slash command", [ratio], LIMIT, 2)


def one(lab: Lab, bot: Bot, asker: Asker, number: int, by_push: bool) -> tuple[float, float]:
    """Deploy a new commit in one of both ways; return the seconds until the first host's turn.

    And those until the operation was recorded.
    """
    commit = new_commit(lab, number, f"{SIDE}-{number}")
    before = max((o.number for o in asker.store.history(limit=1)), default=0)
    at = time.time()
    lab.git.branch("master", commit)
    if not by_push:
        at = asker.begin("master", ENVIRONMENT, CHANNEL).at
    asked = None
    until = time.monotonic() + 60
    while asked is None or asked.live:
        found = [o for o in asker.store.history(ENVIRONMENT, "deploy", 5) if o.number > before]
        asked = found[0] if found else None
        if time.monotonic() > until:
            raise RuntimeError(f"the deploy of {commit} does not end: {found}")
        time.sleep(0.1)
    asker.wait_idle()
    if asked.state != "done":
        raise RuntimeError(f"{asked.line} (#{asked.number}) is {asked.state}")
    [run] = (bot.data / "runs").glob(f"{asked.number}-*")
    lines = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    touched = float(next(x["at"] for x in lines if x.get("host") in lab.hosts))
    return touched - at, asked.created - at
