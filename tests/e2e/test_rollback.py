"""A bad release goes and the one before it comes back, whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.e2e.people import Asked, Person
from tests.e2e.world import World
from tests.lab.load import Load
from tests.waiting import until

Commit = Callable[[], tuple[str, str]]
ENVIRONMENT = "puppystream"
MIGRATION = "pages/migrations/0003_nothing.py"
NOTHING = '''"""Change nothing."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("pages", "0002_author")]
    operations = []
'''


@pytest.fixture
def good(world: World, ada: Person, commit: Commit) -> Iterator[str]:
    """A release that was well, by the bot's record; the environment is free again at the end."""
    branch, sha = commit()
    ada.says(f"/deploy {ENVIRONMENT} {branch}", "C0PUPPY").ends("done").is_followed_up()
    yield sha
    ada.says(f"/unlock {ENVIRONMENT}", "C0PUPPY")


def deploys_bad(world: World, ada: Person) -> tuple[Asked, str]:
    """One that passes its health check, and answers 500 to everybody."""
    branch = world.lab.git.bad_build("front")
    world.lab.git.commit(branch, {MIGRATION: NOTHING}, "Migrate nothing", "bob")
    deploy = ada.says(f"/deploy {ENVIRONMENT} {branch}", "C0PUPPY")
    return deploy.ends("done").is_followed_up().is_told_in_full(), world.lab.git.head(branch)


def number(world: World) -> int:
    """The number of the newest release."""
    return world.store.releases.newest(ENVIRONMENT)[0].number


def test_the_button_brings_the_good_one_back_and_a_kill_changes_nothing(
    world: World, ada: Person, bob: Person, good: str
):
    before = number(world)
    deploy, bad = deploys_bad(world, ada)
    bob.clicks(deploy.card, "once:rollback").is_refused("bob may not rollback", "ada may")
    with Load(world.lab.balancers[ENVIRONMENT], rate=20) as load:
        back = ada.clicks(deploy.card, "once:rollback")
        until(lambda: world.hosts.is_out("puppystreamweb1", ENVIRONMENT), "it leaves the balancer")
        world.bot.kill()
        world.bot.start()
        back.ends("done").is_told_in_full()
    assert load.wrong_by(bad) > 0, "the bad release failed nobody"
    assert load.wrong == load.wrong_by(bad), load.failures
    world.hosts.run(good, ENVIRONMENT)
    world.is_at_rest(back.number)
    assert world.begun_of(back.number) == [run.name for run in world.runs_of(back.number)]
    back.has_said(
        f"roll {ENVIRONMENT} back to release {before} ({good[:7]})", "goes: ", "NOT undone",
        MIGRATION, f"puppystreamweb1 serves {good[:7]}",
        f"{good[:7]} of release {before} again, as release {before + 2}", "is locked",
    )  # fmt: skip
    back.is_said_once()

    bob.says(f"/deploy {ENVIRONMENT} master", "C0PUPPY").is_refused(
        f"rolled back from {before + 1} ({bad[:7]}) to {before} ({good[:7]})",
        f"unlock {ENVIRONMENT} when mended", "ask ada",
    )  # fmt: skip
    told = ada.says(f"/releases {ENVIRONMENT}", "C0PUPPY").is_told("live on", "rolled back")
    rows = {row.split()[0]: row for row in told.splitlines() if "·" in row}
    assert "live on all 2 hosts" in rows[f"{before + 2}"] and "healthy" in rows[f"{before + 2}"]
    assert "rolled back" in rows[f"{before + 1}"] and "live" not in rows[f"{before + 1}"]


@pytest.mark.soak
def test_a_deploy_that_runs_is_taken_over(world: World, ada: Person, good: str, commit: Commit):
    branch, _ = commit()
    deploy = ada.says(f"/deploy {ENVIRONMENT} {branch}", "C0PUPPY")
    until(lambda: world.hosts.is_out("puppystreamweb2", ENVIRONMENT), "it leaves the balancer")
    ada.says(f"/rollback {ENVIRONMENT} 999", "C0PUPPY").is_refused("has no release 999")
    assert not deploy.operation.cancelled_by, "a slip stopped a deploy"
    back = ada.says(f"/rollback {ENVIRONMENT}", "C0PUPPY")
    deploy.ends("cancelled")
    back.ends("done").is_told_in_full()
    world.hosts.run(good, ENVIRONMENT)
    deploy.has_card("cancelled by ada")
    back.has_said("roll puppystream back", f"{good[:7]}", "is locked")
    lock = world.store.locks.of(ENVIRONMENT)
    assert lock and lock.person == "ada"


@pytest.mark.soak
def test_a_rollback_that_is_stopped_is_mended_and_the_next_one_aims_at_the_same(
    world: World, ada: Person, good: str
):
    before = number(world)
    _, bad = deploys_bad(world, ada)
    releases = world.lab.machines.host("puppystreamweb2").srv / "app/releases"
    [held] = releases.glob(f"*-{good[:12]}")
    (held / ".well").unlink()  # as on a host that never had it
    back = ada.says(f"/rollback {ENVIRONMENT}", "C0PUPPY")
    until(lambda: world.hosts.is_out("puppystreamweb2", ENVIRONMENT), "it leaves the balancer")
    ada.says(f"/cancel {back.number}", "C0PUPPY")
    back.ends("cancelled").is_told_in_full()
    world.is_at_rest(back.number)
    assert not [*world.hosts.wrong()]
    assert world.hosts.commit("puppystreamweb1") == good, "what was done before stays done"
    back.has_said(
        "puppystreamweb2: ", "is not there any more, it is built first",
        f"puppystreamweb2 has no release of {good[:7]} ready", "putting back what was begun",
    )  # fmt: skip
    back.has_card("cancelled by ada", "it stands now at")
    assert world.store.locks.of(ENVIRONMENT) is None, "it is not back, so nothing is kept"

    if world.hosts.commit("puppystreamweb2") == bad:
        again = ada.says(f"/rollback {ENVIRONMENT}", "C0PUPPY").ends("done").is_told_in_full()
        again.has_said(f"release {before} ({good[:7]}), 1 host")
        world.hosts.run(good, ENVIRONMENT)


@pytest.mark.soak
def test_what_cannot_come_back_is_refused_and_changes_nothing(world: World, ada: Person, good: str):
    failed = ada.says(f"/deploy {ENVIRONMENT} {world.lab.git.bad_build('exits')}", "C0PUPPY")
    failed.ends("failed").is_told_in_full()
    now, before = number(world), world.state()
    live = next(r for r in world.store.releases.newest(ENVIRONMENT) if r.commit == good).number
    says = [
        ("", "there is nothing to roll back", f"{good[:7]} (release {live}) on puppystream"),
        (" 999", "has no release 999", f"releases {ENVIRONMENT} shows them"),
        (" yesterday", '"yesterday" is not the number of a release', "it looks like 12"),
        (f" {now}", "was never healthy", f"deploy {ENVIRONMENT}"),
        (f" {live}", f"is what {ENVIRONMENT} runs", f"rollback {ENVIRONMENT}"),
    ]
    for words, *answer in says:
        ada.says(f"/rollback {ENVIRONMENT}{words}", "C0PUPPY").is_refused(*answer)
    ada.says(f"/restart {ENVIRONMENT} manager", "C0PUPPY").is_refused("no", "manager")
    after = world.state()
    del before["cards"], after["cards"]  # those that were refused when they ran have one
    assert after == before
    assert world.store.locks.of(ENVIRONMENT) is None


@pytest.mark.soak
def test_a_restart_loses_no_request(world: World, ada: Person):
    live = world.hosts.commits(ENVIRONMENT)
    with Load(world.lab.balancers[ENVIRONMENT], rate=20) as load:
        restart = ada.says(f"/restart {ENVIRONMENT} web", "C0PUPPY").ends("done").is_told_in_full()
    assert not load.wrong, load.failures
    assert world.hosts.commits(ENVIRONMENT) == live
    restart.has_said("the plan", "puppystreamweb1 serves", "after its restart", "web2 serves")
    restart.has_card("restarted, after")
