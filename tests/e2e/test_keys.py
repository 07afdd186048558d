"""Keys: typed in a private form, on every host in the same bytes, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.canaries import Watch, canaries, everywhere, found, heart
from tests.e2e.people import Asked, Person
from tests.e2e.process import Packlead
from tests.e2e.world import World
from tests.lab.aws import PEEK
from tests.lab.keys import put_first
from tests.lab.load import Load
from tests.lab.slack.records import Json
from tests.waiting import until

KEY = "TWITTER_KEY"
FIRST = "canary99x0123456789abcdef"


@pytest.fixture
def key(world: World) -> Iterator[str]:
    """A key that is in the store of prod."""
    put_first(world.lab.aws, KEY, FIRST)
    yield KEY


def form(person: Person) -> Json:
    return until(
        lambda: next(iter(person.world.lab.slack.views(person.id)), None), "the form opens"
    )


def types(person: Person, line: str, channel: str = "C0PROD", **values: object) -> Asked:
    """Say a line, fill in the form that opens and send it; it is accepted."""
    slack = person.world.lab.slack
    asked = person.says(line, channel)
    form(person)
    delivery = slack.submit(person.id, dict(values))
    assert delivery.acked and not delivery.answer, delivery.answer
    asked.answer = asked.is_told("accepted as")
    return asked


def test_a_key_is_rotated_in_a_form_and_seen_by_nobody(world: World, ada: Person, key: str):
    value = [*canaries(6)][5]  # a template in a template; the soak takes all forms
    with (
        Watch([heart(value)]) as watch,
        Load(world.lab.balancers["prod"], rate=20) as load,
    ):
        asked = types(ada, f"/rotate-key {key} prod", value=value).ends("done")
        everywhere(world, "prod", key, value)
        asked.is_told_in_full()
        asked.has_card("done", f"{key} of prod is version", "by ada, fingerprint")
        asked.has_said(f"prodweb1 has {key} version", f"prodweb2 has {key} version")
    assert not load.wrong, load.failures
    assert not watch.seen
    assert not found(world, [value])


@pytest.mark.soak
def test_a_random_one_and_back_again(world: World, ada: Person, key: str):
    asked = ada.says(f"/rotate-key {key}")
    shown = form(ada)
    assert [b["block_id"] for b in shown["blocks"][1:]] == ["environment", "value", "random"]
    ssm = world.lab.aws.client("ssm", PEEK)
    before = ssm.get_parameter(Name=f"/app/prod/{key}", WithDecryption=True)["Parameter"]
    bad = world.lab.slack.submit("U0ADA", {"environment": "prod"})
    assert bad.answer == {"response_action": "errors", "errors": {"value": "type a value"}}
    world.lab.slack.submit("U0ADA", {"environment": "prod", "random": "random"})
    asked.answer = asked.is_told("accepted as")
    asked.ends("done")
    made = ssm.get_parameter(Name=f"/app/prod/{key}", WithDecryption=True)["Parameter"]
    assert made["Version"] == before["Version"] + 1
    everywhere(world, "prod", key, made["Value"])
    undone = ada.says(f"/rotate-key {key} prod --undo").ends("done")
    undone.has_card(f"version {made['Version'] + 1} is version")
    back = ssm.get_parameter(Name=f"/app/prod/{key}", WithDecryption=True)["Parameter"]
    assert back["Value"] == before["Value"]
    asked.is_told_in_full()
    undone.is_told_in_full()


@pytest.mark.soak
def test_a_host_that_is_not_well_sends_all_back(world: World, ada: Person, key: str):
    good, bad = "canary50x0123456789abcdef", "revoked on prodweb2 canary51x0123456789abcdef"
    types(ada, f"/rotate-key {key} prod", value=good).ends("done")
    with Load(world.lab.balancers["prod"], rate=20) as load:
        asked = types(ada, f"/rotate-key {key} prod", value=bad).ends("failed")
    assert not load.wrong, load.failures
    everywhere(world, "prod", key, good)
    asked.is_told_in_full()
    asked.has_said("be well with the key on prodweb2", "every host goes back to version")
    asked.has_card("stopped", "is version", " again")
    assert not found(world, [good, bad])


@pytest.mark.soak
def test_killed_while_hosts_change(world: World, ada: Person, key: str):
    value = "canary52x0123456789abcdef"
    with Load(world.lab.balancers["prod"], rate=20) as load:
        asked = types(ada, f"/rotate-key {key} prod", value=value)
        until(lambda: world.hosts.is_out("prodweb1", "prod"), "prodweb1 leaves the balancer")
        world.bot.kill()
        world.bot.start()
        asked.ends("done")
    assert not load.wrong, load.failures
    everywhere(world, "prod", key, value)
    asked.is_told_in_full()
    assert not found(world, [value])


@pytest.mark.soak
def test_a_new_key_is_asked_about_and_survives_a_restart(world: World, ada: Person, key: str):
    value = "canary53x0123456789abcdef"
    asked = types(ada, "/config prod TWITER_KEY --set", value=value)
    question = asked.has_card(f"prod has {key}; create TWITER_KEY beside it?")
    world.bot.kill()
    world.bot.start()
    yes = next(b.action_id for b in question.buttons if "es" in b.label or "pprove" in b.label)
    ada.clicks(question, yes)
    until(lambda: not world.store.live(), "it ends")
    last = world.store.history("prod", "config")[0]
    assert last.state == "done", last
    everywhere(world, "prod", "TWITER_KEY", value)
    said = ada.says("/config prod").is_told("TWITER_KEY", "version 1", key)
    ada.says("/config").is_told("prod:", "TWITER_KEY", "puppystream:")
    assert "ada" in said

    forced = ada.says('/config prod TWITER_KEY --unset --force "now"')
    forced.ends("failed").has_card("prod takes no --force")
    gone = ada.says("/config prod TWITER_KEY --unset")
    card = gone.has_card("TWITER_KEY goes from prod and from")
    ada.clicks(card, yes)
    until(lambda: not world.store.live(), "it ends")
    for name in world.hosts.names("prod"):
        file = world.lab.machines.host(name).srv / "app/shared/env"
        assert "TWITER_KEY" not in file.read_text()
    assert not found(world, [value])


@pytest.mark.soak
def test_in_a_terminal_and_what_is_typed_wrong(world: World, ada: Person, key: str):
    value = ("canary54x0123456789abcdef" + "0123456789" * 500)[:4096]
    line = f"rotate-key {key} prod"
    Packlead(world.lab.env, "run", line, given=value + "\n").ends(0).says("is version")
    everywhere(world, "prod", key, value)
    wrong = "canary55x0123456789abcdef"
    for typed in (f"rotate-key {key} prod {wrong}", f"rotate-key {key} {wrong}", f"config {wrong}"):
        said = Packlead(world.lab.env, "run", typed).ends(1)
        said.says("what was typed is not repeated")
        assert wrong not in said.out + said.errors
        ada.says(f"/{typed}").is_refused("what was typed is not repeated")
    Packlead(world.lab.env, "run", line, given="").ends(1).says("the value is empty")
    Packlead(world.lab.env, "run", line, given="a\x1bb").ends(1).says("control characters")
    assert not found(world, [value, wrong])


@pytest.mark.soak
def test_a_host_from_an_older_image_has_the_newest_keys(world: World, ada: Person, key: str):
    ada.says("/image prod web").ends("done")
    value = "canary56x0123456789abcdef"
    types(ada, f"/rotate-key {key} prod", value=value).ends("done")
    ada.says("/scale prod web 3").ends("done")
    assert "prodweb3" in world.hosts.names("prod")
    everywhere(world, "prod", key, value)
    down = ada.says("/scale prod web 2").ends("done")
    down.is_told_in_full()
    assert not found(world, [value])
