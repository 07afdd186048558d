"""Approval: a second person says yes in Slack, to exactly what was asked about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.people import Person
from tests.e2e.world import World, until
from tests.lab import config as lab_config


@pytest.fixture
def guarded(world: World) -> Iterator[World]:
    """The same bot, told that puppystream wants ada's yes."""
    before = world.lab.config.read_text()
    table = "[environments.puppystream]"
    policy: dict[str, Any] = {"approval": "approve", "approvers": ["ada"]}
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
    before = guarded.hosts.commits("puppystream")
    deploy = bob.says(f"/deploy puppystream {branch}", channel="C0PUPPY")
    card = deploy.has_card("sure?", "somebody else must say yes: ada")
    approve = next(b.action_id for b in card.buttons if b.label == "Approve")

    bob.clicks(card, approve).is_refused("bob asked for it: somebody else must say yes")
    guarded.bot.kill()
    guarded.bot.start()
    assert guarded.hosts.commits("puppystream") == before, "a question changes nothing"
    assert deploy.operation.state == "waiting"

    said = ada.clicks(card, approve)
    said.is_told("it is #")
    again = until(lambda: guarded.store.get(f"yes:{deploy.number}"), 10, "it goes on")
    assert again
    until(lambda: guarded.store.get(again.id).state == "done", 75, "the deploy ends well")  # type: ignore[union-attr]
    guarded.hosts.run(new, "puppystream")
    assert (again.person, again.approved_by) == ("bob", "ada")
    ended = deploy.has_card(f"ada said yes: it is #{again.number} now")
    assert not [b for b in ended.buttons if b.label == "Approve"]
    ada.clicks(card, approve, stale=True).is_refused(f"#{deploy.number} was answered already")
    assert "approved by ada" in ada.says("/history puppystream").is_told(f"#{again.number}")
