"""Which release comes back, on whom, and what is said of it: pure decisions."""

from __future__ import annotations

from itertools import count

import pytest

from bot.adapters.aws.records import Instance
from bot.adapters.records import Live
from bot.config import Config, Permission
from bot.dispatcher import Dispatcher, Reply, Request
from bot.errors import Misunderstood, Refused
from bot.events import Done, Question, WasCancelled
from bot.people import Who
from bot.store import Release, Store
from commands.prune import kept_releases
from commands.releases import places, row, strangers
from commands.restart import serving
from commands.rollback import asked_for, last_well, pace, sort


def release(number: int, commit: str, state: str = "healthy", ref: str = "master") -> Release:
    return Release("prod", number, commit * 40, ref, "Paint it", "ada", f"op-{number}", state, 0.0)


def runs(*commits: str) -> tuple[Live, ...]:
    return tuple(
        Live(f"prodweb{n}", c * 40) if c else Live(f"prodweb{n}", trouble="unreachable")
        for n, c in enumerate(commits, 1)
    )


def instance(name: str) -> Instance:
    type = name.removeprefix("prod").rstrip("0123456789")
    return Instance(f"i-{name}", name, "prod", type, "10.0.0.1", "running")


def test_the_healthy_one_before_the_live_one_comes_back():
    known = [release(3, "c"), release(2, "b"), release(1, "a")]
    assert last_well("prod", known, runs("c", "c")).number == 2


def test_a_failed_deploy_leaves_the_one_before_it_the_last_healthy():
    known = [release(3, "c", "failed"), release(2, "b"), release(1, "a")]
    assert last_well("prod", known, runs("b", "c")).number == 2, "mixed: all come to it"
    assert last_well("prod", known, runs("b", "b")).number == 2, "and there is nothing to do"
    assert last_well("prod", known, runs("c", "c")).number == 2, "it failed when all had it"


def test_one_that_was_deployed_twice_is_not_its_own_release_before():
    known = [release(3, "b"), release(2, "b"), release(1, "a")]
    assert last_well("prod", known, runs("b")).number == 1


def test_what_somebody_rolled_back_from_does_not_come_back_by_itself():
    known = [release(3, "a", ref="rollback to 1"), release(2, "b", "rolled back"), release(1, "a")]
    with pytest.raises(Refused, match=r"no release that was healthy before 3 \(aaaaaaa\)"):
        last_well("prod", known, runs("a"))
    assert asked_for("prod", 2, known[1], runs("a")).number == 2, "but whoever names it gets it"
    failed = [release(4, "a", "failed", "rollback to 1"), *known[1:]]
    assert last_well("prod", failed, runs("b", "b")).number == 1, "a rollback that failed, again"


def test_a_release_of_one_type_goes_back_where_it_came():
    known = [release(2, "b"), release(1, "a")]
    assert last_well("prod", known, runs("b", "a")).number == 1


@pytest.mark.parametrize(
    ("found", "error", "said"),
    [
        (None, Misunderstood, "prod has no release 7\nreleases prod shows them"),
        (release(7, "c", "failed"), Refused, "was never healthy: it failed\nreleases prod shows"),
        (release(7, "b"), Refused, r"release 7 \(bbbbbbb\) is what prod runs\nrollback prod"),
    ],
)
def test_what_may_not_come_back_says_why(found: Release | None, error: type[Exception], said: str):
    with pytest.raises(error, match=said):
        asked_for("prod", 7, found, runs("b", "b"))


def test_only_those_are_touched_that_run_something_else_and_can_be_reached():
    hosts = tuple(instance(f"prodweb{n}") for n in (1, 2, 3, 4))
    ready = {
        "prodweb1": (("a" * 40,), ""), "prodweb2": (("a" * 40, "b" * 40), ""),
        "prodweb3": (("b" * 40,), ""), "prodweb4": ((), "unreachable"),
    }  # fmt: skip
    ways = sort(hosts, runs("a", "b", "b", ""), ready, release(1, "a"))
    assert [h.name for h in ways.rolling] == ["prodweb2", "prodweb3"]
    assert ways.building == ("prodweb3",)
    assert ways.lost == ("prodweb4",)


@pytest.mark.parametrize(("count", "away"), [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (9, 4)])
def test_half_may_be_out_but_the_minimum_serves(config: Config, count: int, away: int):
    hosts = tuple(instance(f"prodweb{n}") for n in range(count))
    assert pace(config, hosts) == {"web": away}


def test_the_list_says_what_is_live_and_where():
    known = [release(3, "a", ref="rollback to 1"), release(2, "b", "rolled back"), release(1, "a")]
    assert places(known, runs("a", "a")) == ["live on all 2 hosts", "", ""]
    assert places(known, runs("a", "b")) == [
        "partially live: on prodweb1, 1 of 2", "partially live: on prodweb2, 1 of 2", "",
    ]  # fmt: skip
    assert row(known[0], "live on 1 host", 120) == (
        "3 aaaaaaa Paint it · rollback to 1 · ada · 2 min ago · healthy · live on 1 host"
    )
    assert strangers(known, runs("a", "f", "")) == [
        "prodweb2: fffffff, which is none of these", "prodweb3: unreachable",
    ]  # fmt: skip


def test_the_images_of_what_may_come_back_stay():
    known = [
        release(4, "a", ref="rollback to 2"), release(3, "c", "rolled back"), release(2, "a"),
        release(1, "b"),
    ]  # fmt: skip
    assert kept_releases(known) == {"4", "2", "1"}


def test_releases_between_give_way_and_no_others(store: Store):
    for number in range(1, 5):
        store.releases.begin("prod", f"op-{number}", f"{number}" * 40, "master", "", "ada")
        store.releases.end(f"op-{number}", "failed" if number == 2 else "healthy")
    store.releases.begin("puppystream", "op-other", "a" * 40, "master", "", "ada")
    store.releases.end("op-other", "healthy")
    store.releases.begin("prod", "op-back", "1" * 40, "rollback to 1", "", "ada")
    for _ in range(2):  # as often as one likes
        store.releases.give_way("prod", 1, 5)
    states = {r.number: r.state for r in store.releases.newest("prod")}
    assert states == {
        5: "rolling", 4: "rolled back", 3: "rolled back", 2: "failed", 1: "healthy"
    }  # fmt: skip
    assert [r.state for r in store.releases.newest("puppystream")] == ["healthy"]


def test_types_without_services_are_not_restarted():
    config = Config.model_validate(
        {
            "app": {"repository": "x"},
            "types": {"web": {"services": ["web"]}, "manager": {}},
            "environments": {"prod": {"channel": "C0PROD"}},
        }
    )
    both = (instance("prodweb1"), instance("prodmanager1"))
    assert serving(config, both) == both[:1]
    with pytest.raises(Refused, match="manager has no services to restart\ntypes with services"):
        serving(config, both[1:])


@pytest.fixture
def guarded(config: Config, known, store: Store):
    """A house whose prod wants a second person's yes; whoever says a line is returned its reply."""
    prod = config.environments["prod"].model_copy(
        update={"approval": "approve", "approvers": ("bob",), "force": True}
    )
    eve = Permission(who=("eve",), may=("deploy", "rollback"), on=("prod",))
    changes = {
        "environments": {**config.environments, "prod": prod},
        "permissions": (*config.permissions, eve),
    }
    dispatcher = Dispatcher(config.model_copy(update=changes), known, store)
    numbers = count()

    def ask(user: str, line: str) -> Reply:
        who = Who("slack", user, "T0LAB")
        return dispatcher.ask(Request(f"request-{next(numbers)}", line, who, {}))

    return ask


def test_who_may_not_cancel_stops_no_deploy_by_asking_for_a_rollback(guarded, store: Store):
    deploy = guarded("U0ADA", "deploy prod master").operation
    store.begin(deploy)
    assert guarded("U0EVE", "cancel").text.startswith("eve may not cancel")
    back = guarded("U0EVE", "rollback prod")
    assert store.get(deploy).cancelled_by == "", "nobody has said yes to it"
    assert store.entries(back.operation)[0].event.behind == "#1", "it waits its turn to ask"
    forced = guarded("U0EVE", 'rollback prod --force "the site is down"')
    assert forced.text.startswith("eve may not force on prod")
    assert store.get(deploy).cancelled_by == ""
    store.end(deploy, "done", Done("prod runs it"))

    store.begin(back.operation)
    store.ask(back.operation, Question("sure?", "t", (), True, ("bob",), store.now() + 900))
    later = guarded("U0ADA", "deploy prod master").operation
    assert guarded("U0BOB", "approve 2 t").ok
    assert store.get(later).cancelled_by == "eve", "the yes is what stops it"


def test_who_may_cancel_stops_it_at_once(guarded, store: Store):
    deploy, waits = (guarded("U0ADA", "deploy prod master").operation for _ in range(2))
    store.begin(deploy)
    assert guarded("U0ADA", "rollback prod").ok
    assert store.get(deploy).cancelled_by == "ada"
    assert store.get(waits).state == "cancelled"
    assert store.entries(waits)[-1].event == WasCancelled("ada", "#3 takes over")


def test_a_rollback_is_accepted_with_what_it_stops_or_not_at_all(ask, store: Store):
    deploy = ask("U0ADA", "deploy prod master").operation
    store.begin(deploy)
    refuse = "create trigger no before update of cancelled_by on operations begin {} end"
    with store.engine.begin() as c:
        c.exec_driver_sql(refuse.format("select raise(abort, 'the disk is full');"))
    assert not ask("U0ADA", "rollback prod").ok
    assert [o.id for o in store.live()] == [deploy], "and it waits behind nothing"


def test_a_card_rolls_back_from_what_it_brought_and_from_nothing_newer(ask, store: Store):
    first, second = (ask("U0ADA", "deploy prod master").operation for _ in range(2))
    for operation, commit in ((first, "a"), (second, "b")):
        store.releases.begin("prod", operation, commit * 40, "master", "", "ada")
        store.releases.end(operation, "healthy")
        store.end(operation, "done", Done("prod runs it"))
    runs = ask("U0ADA", "deploy prod master").operation
    refused = ask("U0ADA", "rollback prod --from #1").text
    assert refused.startswith(
        "what #1 brought is not the newest of prod: that is release 2 (bbbbbbb) now"
    )
    assert "has no release" not in refused and "rollback prod goes back" in refused
    assert not ask("U0ADA", "rollback prod --from #77").ok
    assert store.get(runs).state == "queued", "a refused one stops nothing"
    back = ask("U0ADA", "rollback prod --from #2")
    assert back.ok and store.get(runs).state == "cancelled"
    store.releases.begin("prod", back.operation, "a" * 40, "rollback to 1", "", "ada")
    assert not ask("U0ADA", "rollback prod --from #2").ok, "it is on its way already"
    store.releases.end(back.operation, "failed")
    assert ask("U0ADA", "rollback prod --from #2").ok, "one that failed is tried again"


def test_a_slip_in_the_number_takes_nothing_over(ask, store: Store):
    deploy = ask("U0ADA", "deploy prod master")
    assert "prod has no release 7" in ask("U0ADA", "rollback prod 7").text
    running = store.get(deploy.operation)
    assert running and running.state == "queued"
    store.releases.begin("prod", "op-7", "a" * 40, "master", "", "ada")
    assert ask("U0ADA", "rollback prod 1").ok
    stopped = store.get(deploy.operation)
    assert stopped and stopped.state == "cancelled"
