"""Slack is away while a deploy runs: the deploy does not notice, and the card ends right."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.e2e.people import Person
from tests.e2e.world import World

OUTAGE = 15.0  # seconds at least; the minute of a real one would show nothing more


@pytest.mark.soak
def test_slack_answers_429_and_503(
    world: World, ada: Person, commit: Callable[[], tuple[str, str]]
):
    branch, new = commit()
    slack = world.lab.slack
    deploy = ada.says(f"/deploy puppystream {branch}", "C0PUPPY")
    deploy.is_said_so_far()
    began = time.monotonic()
    first = slack.fault("*", "503", seconds=OUTAGE / 2)
    then = slack.fault("*", "429", seconds=600)
    deploy.ends("done")  # all the while Slack is away: it was not waited for
    assert "done" not in deploy.card.wording
    time.sleep(max(0, began + OUTAGE - time.monotonic()))
    slack.clear_faults()
    assert first.count and then.count, "Slack was asked, and said no in both ways"

    deploy.is_followed_up().is_told_in_full(60)
    world.hosts.run(new, "puppystream")
    deploy.has_card("done", f"puppystream runs {new[:7]} on 2 hosts")
    deploy.has_said(
        "the plan", f"puppystreamweb1 serves {new[:7]}", f"puppystreamweb2 serves {new[:7]}",
        f"puppystream runs {new[:7]} on 2 hosts", "of puppystreamweb1 is there",
    )  # fmt: skip
    deploy.is_said_once()
