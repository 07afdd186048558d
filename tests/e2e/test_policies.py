"""The policies of an environment: CI, a second person's yes, freezes, and what would go away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.people import Person
from tests.e2e.world import World
from tests.lab import config as lab_config
from tests.waiting import until


@pytest.fixture
def guarded(world: World) -> Iterator[World]:
    """The same bot, told that puppystream wants CI's yes, and ada's."""
    before = world.lab.config.read_text()
    table = "[environments.puppystream]"
    policy: dict[str, Any] = {"approval": "approve", "approvers": ["ada"], "ci": "required"}
    world.lab.config.write_text(
        before.replace(table, "\n".join([table, *lab_config.lines(policy)]))
    )
    world.bot.stop()
    world.bot.start()
    yield world
    world.lab.config.write_text(before)
    world.bot.stop()
    world.bot.start()


def test_a_second_person_says_yes(guarded: World, ada: Person, bob: Person, commit: Any):
    branch, new = commit()
    github = guarded.lab.git.github
    line = f"/deploy puppystream {branch}"

    def refused(*texts: str) -> None:
        asked = bob.says(line, channel="C0PUPPY").ends("failed")
        asked.has_card(*texts)

    refused("no check reported")
    github.set_status(new, "failure", "ci/tests")
    github.set_check(new, "lint")
    refused("ci/tests failed", "https://ci.kennel.example/ci/tests")
    github.set_status(new, "success", "ci/tests")
    refused("lint still runs")
    github.set_check(new, "lint", "success")
    for fault in ("503", "nonsense"):
        github.fault(fault, times=9)
        refused("asking CI about")
        github.calm()
    before = guarded.hosts.commits("puppystream")
    deploy = bob.says(line, channel="C0PUPPY")
    card = deploy.has_card("sure?", "somebody else must say yes: ada")
    approve = next(b.action_id for b in card.buttons if b.label == "Approve")

    bob.clicks(card, approve).is_refused("bob asked for it: somebody else must say yes")
    guarded.bot.kill()
    guarded.bot.start()
    assert guarded.hosts.commits("puppystream") == before, "a question changes nothing"
    assert deploy.operation.state == "waiting"

    said = ada.clicks(card, approve)
    said.is_told("it is #")
    again = until(lambda: guarded.store.get(f"yes:{deploy.number}"), "it goes on")
    assert again
    until(lambda: guarded.store.get(again.id).state == "done", "the deploy ends well")  # type: ignore[union-attr]
    guarded.hosts.run(new, "puppystream")
    assert (again.person, again.approved_by) == ("bob", "ada")
    ended = deploy.has_card(f"ada said yes: it is #{again.number} now")
    assert not [b for b in ended.buttons if b.label == "Approve"]
    ada.clicks(card, approve, stale=True).is_refused(f"#{deploy.number} was answered already")
    assert "approved by ada" in ada.says("/history puppystream").is_told(f"#{again.number}")


def test_what_would_go_away_is_asked_about(world: World, ada: Person):
    before = world.state()
    asked = ada.says("/deploy puppystream v1.0", channel="C0PUPPY")
    card = asked.has_card("away: sure?", "REMOVED:")
    reject = next(b.action_id for b in card.buttons if b.label == "Reject")
    ada.clicks(card, reject).is_told("nothing was done")
    asked.has_card("cancelled by ada")
    after = world.state()
    assert {k: after[k] for k in after if k != "cards"} == {
        k: before[k] for k in before if k != "cards"
    }
    ada.says("/diff puppystream v1.0").is_told("REMOVED")


def test_a_freeze_holds_people_and_ends(world: World, ada: Person, commit: Any):
    branch, _ = commit()
    said = ada.says("/freeze puppystream until 1h the shop is full")
    said.is_told("puppystream is frozen until", "unfreeze puppystream ends it")
    try:
        ada.says(f"/deploy puppystream {branch}").is_refused("is frozen for", "the shop is full")
        ada.says(f'/deploy puppystream {branch} --force "now"').is_refused("takes no --force")
    finally:
        ada.says("/unfreeze puppystream").is_told("puppystream is not frozen any more")
    ada.says("/unfreeze puppystream").is_refused("nobody has frozen puppystream")
