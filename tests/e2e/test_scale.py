"""Scaling: true copies of the master come and serve, and they go again without a failed request."""

from __future__ import annotations

from tests.e2e.people import Person
from tests.e2e.world import World
from tests.lab import invariants
from tests.lab.copies import differences
from tests.lab.invariants import inventory
from tests.lab.load import Load
from tests.waiting import until


def test_three_more_come_as_true_copies_and_go_again(world: World, ada: Person):
    ada.says("/image prod web").ends("done")
    live = world.hosts.commit("prodweb1")
    with Load(world.lab.balancers["prod"], rate=20) as load:
        up = ada.says("/scale prod web 5")
        up.ends("done")
        card = up.has_card("prod has 5 web: prodweb3, prodweb4 and prodweb5 came")
        assert card.channel == "C0PROD"
        world.hosts.run(live, "prodweb")
        assert len(world.hosts.names("prodweb")) == 5
        there = world.lab.fleet.rows()
        for name in ("prodweb3", "prodweb4", "prodweb5"):
            new = there[name]
            assert differences(world.lab.fleet, "prodweb1", name) == []
            assert new["MetadataOptions"]["HttpTokens"] == "required"
            tags = {tag["Key"]: tag["Value"] for tag in new["Tags"]}
            assert (tags["Env"], tags["Type"]) == ("prod", "web")
            assert tags["Operation"] == up.operation.id
            assert world.lab.fleet.health("prod")[name] == "healthy"

        asked = ada.says("/scale prod web 2")
        question = asked.has_card("this takes prodweb5, prodweb4 and prodweb3 away, 3 of 5 web")
        assert len(world.lab.fleet.rows()) == len(there), "a question changes nothing"
        ada.clicks(
            question,
            next(b.action_id for b in question.buttons if "pprove" in b.label or "es" in b.label),
        )
        until(lambda: len(world.hosts.names("prodweb")) == 2, "three of them go")
    assert not load.wrong, load.failures
    until(lambda: not world.store.live(), "it ends")
    assert world.hosts.names("prodweb") == ["prodweb1", "prodweb2"]
    last = world.store.history("prod", "scale")[0]
    assert (last.state, last.person) == ("done", "ada")


def test_stopped_while_they_are_launched_they_are_taken_away_again(world: World, ada: Person):
    if not inventory(world.lab).images:
        ada.says("/image prod web").ends("done")
    before = inventory(world.lab).instances
    slow = world.lab.aws.fault("RunInstances", "slow", seconds=3.0)
    world.lab.aws.fault("DescribeParameters", "error", code="AccessDeniedException", status=400)
    up = ada.says("/scale prod web 4")
    until(lambda: slow.hits, "the first one is launched")
    ada.says(f"/cancel {up.number}")
    up.ends("cancelled").has_card("cancelled by ada")
    up.has_said("new hosts keep the keys that their image has: asking SSM for the keys")
    up.has_said("taking away again: prodweb3 and prodweb4")
    until(lambda: inventory(world.lab).instances == before, "nothing of it is left")
    assert not [*world.hosts.wrong()]


def test_one_that_does_not_get_well_goes_and_the_other_stays(world: World, ada: Person):
    if not inventory(world.lab).images:
        ada.says("/image prod web").ends("done")
    live, before = world.hosts.commit("prodweb1"), inventory(world.lab)
    up = ada.says("/scale prod web 4")
    up.does("prepare")
    current = world.lab.machines.host("prodweb4").srv / "app/current"
    current.unlink()
    current.mkdir()  # no release can be made current there
    up.ends("failed").has_card("1 of 2 new instances joined; prodweb4")
    up.has_said("taking away again: prodweb4")
    up.has_said("what came stays, the others were taken away")
    assert not [*invariants.fleet(world.lab, "prod", "web", 3, live)]
    assert not [*invariants.strays(world.lab, before, [up.operation.id])]
    ada.says("/scale prod web 2").ends("done")


def test_what_cannot_be_scaled_is_answered_and_changes_nothing(world: World, ada: Person):
    before = world.state()
    for line, *answer in (
        ("/scale prod web 0", "a minimum of 2, 0 is below it"),
        ("/scale prod web 1", "a minimum of 2, 1 is below it"),
        ("/scale prod web -5", "a minimum of 2, -3 is below it"),
        ("/scale prod web 1e9", '"1e9" is not a number of instances', "say 3, +1 or -1"),
        ("/scale prod web 21", "a maximum of 20, 21 is above it"),
        ("/scale prod wbe 3", 'there is no type "wbe"', 'did you mean "web"?'),
        ("/scale prod web", "scale needs a COUNT"),
        ("/scale puppystream celery 1", "puppystream has no running celery to make more of"),
        ("/prune prod --keep 0", '"0" images cannot be kept'),
    ):
        ada.says(line).is_refused(*answer)
    after = world.state()
    assert after == before
    assert "scale prod web 2" in ada.says("/scale prod").is_told("scale prod manager 1")
