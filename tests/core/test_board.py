"""What a board shows, from the store alone."""

import datetime as dt

import pytest

from bot import board
from bot.adapters.calendar import Calendar
from bot.board import may_answer
from bot.config import Config
from bot.dora import DAY, Deploy, figures
from bot.events import Done, Question, Stopped
from bot.frozen import Freeze
from bot.people import People, Speaker
from bot.store import Lock, Operation, Store

NOW = 1_790_000_000.0


class Past:
    """Writes what happened, at times of its own."""

    def __init__(self, store: Store) -> None:
        self.store, self.at, self.count = store, NOW, 0
        store.now = lambda: self.at

    def asks(self, line: str, at: float = 0.0, by: str = "ada", **more: object) -> Operation:
        self.at, self.count = NOW + at, self.count + 1
        command, environment, *_ = [*line.split(), ""]
        operation, _ = self.store.submit(
            f"op-{self.count}", line=line, command=command, environment=environment, person=by,
            front="slack", **{"exclusive": True, **more},
        )  # fmt: skip
        return operation

    def deploys(self, environment: str, asked: float, ended: float, ok: bool = True) -> Operation:
        operation = self.asks(f"deploy {environment} master", asked)
        self.store.begin(operation.id)
        self.store.releases.begin(
            environment, operation.id, f"{self.count:040x}", "master", "a subject", "ada"
        )
        self.at = NOW + ended
        self.store.releases.end(operation.id, "healthy" if ok else "failed")
        end = Done("it runs") if ok else Stopped("prodweb2 did not get healthy")
        self.store.end(operation.id, "done" if ok else "failed", end)
        self.at = NOW
        return operation


@pytest.fixture
def past(store: Store) -> Past:
    return Past(store)


def look(store: Store, config: Config, only: list[str] | None = None) -> dict[str, board.Standing]:
    return {e.name: e for e in board.read(store, config, only).environments}


def test_an_empty_house(store: Store, config: Config):
    seen = look(store, config)
    assert list(seen) == ["prod", "puppystream"]
    assert seen["prod"].live is None and seen["prod"].health == "unknown"
    assert seen["prod"].figures.rate is None


def test_what_is_live_is_the_newest_healthy_release(store: Store, config: Config, past: Past):
    good = past.deploys("prod", -900, -600)
    past.deploys("prod", -500, -400, ok=False)
    prod = look(store, config)["prod"]
    assert prod.live and prod.live.number == 1 and prod.operation
    assert prod.operation.id == good.id and prod.operation.finished == NOW - 600
    assert (prod.health, prod.said) == ("ill", "prodweb2 did not get healthy")


def test_what_is_live_is_known_however_long_ago_it_came(store: Store, config: Config, past: Past):
    past.deploys("prod", -400 * DAY, -399.9 * DAY)
    prod = look(store, config)["prod"]
    assert prod.live and prod.operation and prod.figures.deploys == 0


def test_who_works_waits_asks_and_keeps(store: Store, config: Config, past: Past):
    runs = past.asks("scale prod web 3", -50)
    store.begin(runs.id)
    waits = past.asks("deploy prod master", -40)
    asks = past.asks("deploy puppystream master", -30, by="bob")
    store.begin(asks.id)
    store.ask(asks.id, Question("sure?", "t", (), True, ("ada",)))
    store.locks.take(Lock("prod", "ada", "a demo", NOW - 60, NOW + 60))
    store.locks.take(Lock("puppystream", "ada", "over", NOW - 60, NOW - 1))
    store.keep_note("freeze", "prod", vars(Freeze(NOW + 60, "the weekend", "ada")))
    past.at = NOW
    seen = look(store, config)
    prod, puppy = seen["prod"], seen["puppystream"]
    assert prod.running and prod.running.id == runs.id and prod.health == "changing"
    assert [o.id for o in prod.queue] == [waits.id]
    assert prod.lock and prod.lock.reason == "a demo" and puppy.lock is None
    assert prod.freeze and prod.freeze.by == "ada"
    assert [a.operation.id for a in puppy.asks] == [asks.id]


def test_the_freezes_of_the_config_are_told_when_they_hold_and_before(
    store: Store, config: Config, past: Past
):
    told = config.model_dump()
    told["environments"]["prod"]["freeze"] = [
        {"at": "0 16 * * fri", "hours": 64, "zone": "Europe/Vienna", "reason": "the weekend"}
    ]
    frozen = Config.model_validate(told)

    def look_at(day: dt.datetime) -> board.Standing:
        past.at = day.timestamp()
        windows = Calendar(frozen, lambda: day).coming
        return board.read(store, frozen, None, windows).environments[0]

    thursday, saturday = (dt.datetime(2026, 11, day, 12, tzinfo=dt.UTC) for day in (26, 28))
    before = look_at(thursday)
    assert before.freeze is None and before.freezes
    assert before.freezes.since == dt.datetime(2026, 11, 27, 15, tzinfo=dt.UTC).timestamp()
    held = look_at(saturday)
    assert held.freeze and held.freeze.reason == "the weekend" and held.freezes is None
    longer = Freeze(saturday.timestamp() + 9 * DAY, "the fair", "ada")
    store.keep_note("freeze", "prod", vars(longer))
    assert look_at(saturday).freeze == longer, "the one that ends last"
    assert look(store, config)["prod"].freezes is None


def test_what_comes_next_is_what_the_clock_says(store: Store, config: Config):
    rows = [{"name": "nightly", "at": "30 2 * * *", "say": "prune prod --keep 3"},
            {"name": "late", "at": "30 2 * * *", "say": "prune prod"}]  # fmt: skip
    told = Config.model_validate(config.model_dump() | {"schedule": rows})
    store.keep_note("clock", "nightly", {"next": store.now() + 60})
    store.keep_note("clock", "late", {"next": store.now() - 7200})
    nightly, late = look(store, told)["prod"].coming
    assert nightly.at and nightly.say == "prune prod --keep 3"
    assert late.at is None, "its time has passed: no clock runs"


def test_a_reader_of_one_environment_sees_no_other(store: Store, config: Config, past: Past):
    past.deploys("prod", -900, -600)
    past.deploys("puppystream", -500, -400)
    past.asks("status", -10, exclusive=False)
    seen = board.read(store, config, ["puppystream"])
    assert [e.name for e in seen.environments] == ["puppystream"]
    assert {o.environment for o in seen.recent} == {"puppystream"}
    assert len(board.read(store, config).recent) == 3


def test_whose_yes_counts(config: Config):
    people = People(config)
    operation = Operation(
        1, "a", "deploy puppystream", "deploy", "puppystream", "bob", "slack", "waiting", NOW
    )
    own = board.Asked(operation, Question("sure?", "t"))
    second = board.Asked(operation, Question("sure?", "t", (), True, ("ada", "bob")))

    def may(asked: board.Asked, name: str) -> bool:
        return may_answer(asked, people, Speaker(name), "deploy")

    assert may(own, "bob") and may(own, "ada") and not may(own, "eve")
    assert may(second, "ada") and not may(second, "bob") and not may(second, "eve")


def test_the_question_is_what_a_page_is_told_of_what_waits(store: Store, past: Past):
    asks = past.asks("deploy prod")
    store.begin(asks.id)
    store.ask(asks.id, Question("sure?", "t"))
    waiting = store.get(asks.id)
    assert waiting
    event, children = board.told(store, waiting)
    assert isinstance(event, Question) and children == []


# -- the figures ---------------------------------------------------------------------------------


def test_a_month_of_deploys():
    def at(day: float, state: str = "healthy", lead: float = 600.0, **more: bool) -> Deploy:
        ended = NOW - day * DAY
        return Deploy(state, ended - lead, ended, **more)

    month = [
        at(40), at(20), at(10, "failed"), at(9.5, lead=1200), at(5, "rolled back"),
        at(4.75, back=True), at(0.5, "failed"),
    ]  # fmt: skip
    seen = figures(month, NOW)
    assert (seen.deploys, seen.failed) == (5, 3), "not the one of before, and not the rollback"
    assert seen.rate == 0.6 and seen.lead == 600
    assert seen.weekly == pytest.approx(3 * 7 / 30)
    assert seen.restore == pytest.approx((0.5 + 0.25) / 2 * DAY)
    assert seen.broken, "nothing was healthy since the last failure"
    assert len(seen.days) == 30 and seen.days[-1].failed == 1
    assert sum(day.well + day.failed for day in seen.days) == 5


def test_who_says_yes_later_has_not_asked_later(store: Store, config: Config, past: Past):
    asked = past.asks("deploy prod master", -3600)
    store.begin(asked.id)
    store.ask(asked.id, Question("sure?", "t", (), True, ("ada",)))
    past.at = NOW - 600
    waiting = store.get(asked.id)
    assert waiting
    goes = store.approve(waiting, "t", "ada")
    assert goes
    store.begin(goes.id)
    store.releases.begin("prod", goes.id, "a" * 40, "master", "x", "ada")
    past.at = NOW
    store.releases.end(goes.id, "healthy")
    store.end(goes.id, "done", Done("well"))
    assert look(store, config)["prod"].figures.lead == 3600
