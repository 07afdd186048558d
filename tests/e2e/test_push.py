"""A `git push` and nothing else: it is deployed, shown in the channel, and told to GitHub."""

from __future__ import annotations

import random
import re
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from bot.fronts.deploys import Ticket, sealed
from bot.fronts.github import PATH
from bot.store import Operation
from tests.e2e.people import Asked, Person
from tests.e2e.world import World
from tests.lab.git import run
from tests.lab.github import GitHub
from tests.lab.lab import DEPLOYS_SECRET
from tests.waiting import PATIENCE, until

MASTER = "refs/heads/master"
URL = re.compile(r"listening on (http://\S+)")


@pytest.fixture
def github(world: World) -> Iterator[GitHub]:
    """GitHub, which sends its webhooks to the bot, as a reverse proxy would let them in."""
    url = URL.findall(world.bot.log.read_text())[-1]
    world.lab.git.webhook_url = url + PATH
    yield world.lab.git.github
    world.lab.git.webhook_url = ""
    world.lab.git.github.calm()


@pytest.fixture
def push(world: World) -> Callable[..., str]:
    """Push a commit to master as somebody, by git and nothing else; return it."""
    count = iter(range(100))

    def push(author: str = "ada", branch: str = "master") -> str:
        number = next(count)
        files = {"pushed.txt": f"{author} {number} {random.random()}\n"}
        return world.lab.git.commit(branch, files, f"Push {number}", author)

    return push


def pushed(world: World, person: str, since: int) -> Asked:
    """Return the deploy that a push has asked for, as if somebody had said it."""
    found = until(lambda: asked_since(world, since), "the push asks for a deploy")
    asked = Asked(Person(f"U0{person.upper()}", world), "git push", 0, "")
    asked.answer = f"accepted as #{found[-1].number}"
    return asked


def asked_since(world: World, since: int) -> list[Operation]:
    return [
        o for o in reversed(world.store.history("puppystream", "deploy", 60)) if o.number > since
    ]


def newest(world: World) -> int:
    return max((o.number for o in world.store.history(limit=1)), default=0)


def states_of(github: GitHub, deploy: Asked) -> list[str]:
    """What GitHub was told of a deploy, oldest first."""
    mine = [d for d in github.deployments if d["payload"]["packlead"] == deploy.operation.id]
    assert len(mine) <= 1, "one deploy is one deployment"
    return [s["state"] for d in mine for s in github.deployment_statuses[d["id"]]]


def test_a_push_is_deployed(world: World, github: GitHub, push: Callable[..., str]):
    since = newest(world)
    new = push("ada")
    deploy = pushed(world, "ada", since).ends("done")
    world.hosts.run(new, "puppystream")
    assert (deploy.operation.person, deploy.operation.front) == ("ada", "github")
    assert deploy.operation.line == "deploy puppystream master"
    card = deploy.has_card("done", f"puppystream runs {new[:7]} on 2 hosts")
    assert card.channel == "C0PUPPY" and "<@U0ADA>" in card.wording
    deploy.is_followed_up().is_told_in_full()
    until(
        lambda: states_of(github, deploy) == ["in_progress", "success"],
        lambda: f"GitHub is told how it went, and not only {states_of(github, deploy)}",
    )  # fmt: skip
    [there] = [d for d in github.deployments if d["sha"] == new]
    assert there["environment"] == "puppystream" and f"#{deploy.number} " in there["description"]
    assert "prod" not in {d["environment"] for d in github.deployments if d["sha"] == new}


@pytest.mark.soak
def test_thirty_pushes_in_a_burst(world: World, github: GitHub, push: Callable[..., str]):
    since, hooks = newest(world), github.webhooks
    url, hooks.url = hooks.url, ""
    old, commits = world.lab.git.head(), []
    for number in range(30):
        commits.append(push(("ada", "bob")[number % 2]))
    payloads = [github.push_event(*pair, MASTER) for pair in pairwise([old, *commits])]
    hooks.url = url
    dice = random.Random(7)
    deliveries = [(p, {}) for p in payloads for _ in range(dice.choice((1, 1, 2)))]
    for payload in payloads:
        other = hooks.sign(b"another body")
        for forged in (None, "", "sha1=" + "0" * 40, other, hooks.sign(b"") + "0", "sha256="):
            deliveries.append((payload, {"X_Hub_Signature_256": forged}))
    dice.shuffle(deliveries)
    before = world.store.newest_entry(), len(hooks.deliveries)
    threads = [
        threading.Thread(target=hooks.deliver, args=("push", p), kwargs=forged)
        for p, forged in deliveries
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    answered = [d.status for d in hooks.deliveries[before[1] :]]
    assert answered.count(401) == 6 * 30, "each that was forged is turned away"
    assert set(answered) <= {200, 202, 401} and answered.count(202) == 30

    until(lambda: not world.store.live("puppystream"), "all of them end")
    asked = asked_since(world, since)
    assert len(asked) == 30, "one operation each, whatever came twice"
    ran = [o.number for o in asked if world.runs_of(o.number)]
    assert len(ran) <= 2, f"the first and the last deploy, not {ran}"
    over = [o for o in asked if o.state == "cancelled"]
    assert len(over) >= 28 and all(o.state in ("done", "cancelled") for o in asked)
    world.hosts.run(commits[-1], "puppystream")


@pytest.mark.soak
def test_an_old_webhook_that_comes_late(world: World, github: GitHub, push: Callable[..., str]):
    hooks = github.webhooks
    url, hooks.url = hooks.url, ""
    old, late, new = world.lab.git.head(), push(), push()
    hooks.url = url
    since = newest(world)
    hooks.deliver("push", github.push_event(late, new, MASTER))
    pushed(world, "ada", since).ends("done").is_followed_up()
    world.hosts.run(new, "puppystream")
    since = newest(world)
    hooks.deliver("push", github.push_event(old, late, MASTER))
    second = pushed(world, "ada", since).ends("done")
    second.has_card(f"{new[:7]} is already live on 2 hosts")
    assert not world.runs_of(second.number)
    world.hosts.run(new, "puppystream")


@pytest.mark.soak
def test_a_push_behind_a_lock(world: World, github: GitHub, ada: Person, push: Callable[..., str]):
    before, since = world.hosts.commits("puppystream"), newest(world)
    try:
        ada.says("/lock puppystream we show it to a customer", "C0PUPPY").is_told("ada keeps")
        push("bob")
        lab = world.lab.slack

        def told() -> list[str]:
            return [m.wording for m in lab.messages("C0PUPPY") if "bob pushed master" in m.wording]

        until(told, "the channel is told")
        assert "ada " in told()[0] and "we show it to a customer" in told()[0]
        last = github.webhooks.deliveries[-1]
        github.webhooks.deliver("push", last.payload, last.id)
        until(lambda: not world.store.live(), "all of it is told")
        assert len(told()) == 1, "once"
    finally:
        ada.says("/unlock puppystream", "C0PUPPY").is_told("puppystream")
    assert not asked_since(world, since)
    assert world.hosts.commits("puppystream") == before


def test_a_stranger_pushes(world: World, github: GitHub, push: Callable[..., str]):
    since = newest(world)
    push("noor")
    lab = world.lab.slack
    until(
        lambda: [m for m in lab.messages("C0PUPPY") if "noor-h pushed master" in m.wording],
        "the channel is told",
    )  # fmt: skip
    assert not asked_since(world, since)


SOAK = pytest.mark.soak


@pytest.mark.parametrize(
    "fault", [pytest.param(fault, marks=SOAK) for fault in ("503", "slow", "429", "nonsense")]
)
def test_github_is_out_of_order(world: World, github: GitHub, push: Callable[..., str], fault: str):
    github.fault(fault, 3 if fault == "slow" else 4)  # the plan asks first
    since = newest(world)
    new = push("bob")
    deploy = pushed(world, "bob", since).ends("done")
    world.hosts.run(new, "puppystream")
    deploy.is_followed_up().is_told_in_full()
    until(
        lambda: states_of(github, deploy) == ["in_progress", "success"],
        lambda: f"it is told later, and not only {states_of(github, deploy)}",
    )  # fmt: skip


@pytest.mark.soak
def test_killed_while_telling(world: World, github: GitHub, push: Callable[..., str]):
    github.fault("slow", 2)  # the plan asks first
    since = newest(world)
    new = push("ada")
    deploy = pushed(world, "ada", since)
    until(lambda: world.store.note("github", deploy.operation.id).get("making"), "it is told")
    world.bot.kill()
    world.bot.start()
    deploy.ends("done").is_followed_up().is_told_in_full()
    world.hosts.run(new, "puppystream")
    until(
        lambda: states_of(github, deploy) == ["in_progress", "success"],
        lambda: f"GitHub is told all of it, once: {states_of(github, deploy)}",
    )  # fmt: skip


def test_a_branch_that_nobody_deploys(world: World, github: GitHub, push: Callable[..., str]):
    since, before = newest(world), len(github.webhooks.deliveries)
    push("ada", "feature/collar")
    until(lambda: github.webhooks.deliveries[before:], "it is delivered")
    run("git", "-C", world.lab.git.path, "branch", "-D", "feature/collar")
    assert [d.status for d in github.webhooks.deliveries[before:]] == [204]
    assert newest(world) == since


@pytest.mark.soak
def test_ci_asks_by_a_token(world: World, github: GitHub, push: Callable[..., str]):
    github.webhooks.url = ""
    old, new = push("bob"), push("bob")
    since = newest(world)
    assert post(world, new)[0] == 202
    first = pushed(world, "bob", since).ends("done")
    assert (first.operation.person, first.operation.front) == ("bob", "deploys")
    first.has_card("done", f"puppystream runs {new[:7]} on 2 hosts")
    first.is_followed_up()
    since = newest(world)
    assert post(world, old)[0] == 202
    late = pushed(world, "bob", since).ends("done")
    late.has_card(f"puppystream is past {old[:7]} already")
    assert not world.runs_of(late.number)
    world.hosts.run(new, "puppystream")


def post(world: World, commit: str) -> tuple[int, str]:
    """Ask for a deploy as CI does that has built a commit."""
    ticket = Ticket("puppystream", "bob", time.time() + 60, uuid.uuid4().hex, commit=commit)
    url = URL.findall(world.bot.log.read_text())[-1] + "/deploys"
    told = {"Authorization": f"Bearer {sealed(DEPLOYS_SECRET, ticket)}"}
    with urllib.request.urlopen(urllib.request.Request(url, b"", told), timeout=60) as answer:
        return answer.status, answer.read().decode()
