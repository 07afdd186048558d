"""A roll over many hosts is split, worked on by whoever is free, and told as one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from bot.adapters.ansible import playbooks
from bot.adapters.aws.records import Instance
from bot.adapters.records import Failure, Outcome
from bot.command import Environment, command, read
from bot.config import Config
from bot.dispatcher import Dispatcher, Request
from bot.engine import Engine
from bot.errors import Cancelled
from bot.events import Done, Event, HostReport, Note, Progress, StepProgress, Stopped
from bot.job import Job
from bot.people import Who
from bot.rolling import fetched, over, play
from bot.shards import PHASES, Phase, merged, split
from bot.store import Operation, Store
from commands.shard import shard
from tests.waiting import until

COUNTS = {"web": 2, "celery": 4, "manager": 1}


def instance(type: str, number: int) -> Instance:
    name = f"prod{type}{number}"
    return Instance(f"i-{name}", name, "prod", type, "10.0.0.1", "running")


HOSTS = tuple(instance(type, n + 1) for type, count in COUNTS.items() for n in range(count))


# -- who goes where ----------------------------------------------------------------------------


@pytest.mark.parametrize(("hosts", "most", "sizes"), [
    (1, 2, [1]), (2, 2, [2]), (3, 2, [2, 1]), (1000, 200, [200] * 5),
    (1001, 200, [167] * 5 + [166]),
])  # fmt: skip
def test_as_few_and_as_even_as_can_be(hosts: int, most: int, sizes: list[int]):
    many = [instance("celery", n) for n in range(hosts)]
    parts = split(many, most)
    assert [len(part) for part in parts] == sizes
    assert sorted(h.name for part in parts for h in part) == sorted(h.name for h in many)


def test_types_are_dealt_out_evenly():
    many = [instance("web", n) for n in range(6)] + [instance("celery", n) for n in range(3)]
    for part in split(many, 3):
        assert sorted(host.type for host in part) == ["celery", "web", "web"]


def test_who_goes_through_which_phase(config: Config):
    prod = config.environments["prod"]
    prepare, behind, rest = PHASES["deploy.yml"]
    assert over(prepare, prod, HOSTS, {}) == HOSTS
    once = {"packlead_once": "prodmanager1"}
    names = [h.name for h in over(behind, prod, HOSTS, once)]
    assert names == [
        "prodmanager1",
        "prodweb1",
        "prodweb2",
    ]
    assert [h.type for h in over(rest, prod, HOSTS, once)] == ["celery"] * 4 + ["manager"]
    workers = tuple(h for h in HOSTS if h.type == "celery")
    assert over(behind, prod, workers, {}) == workers[:1], "somebody has to migrate"
    assert over(PHASES["restart.yml"][1], prod, workers, {}) == ()
    building = PHASES["rollback.yml"][0]
    ready = {"packlead_ready": [h.name for h in workers[1:]]}
    assert over(building, prod, workers, ready) == workers[:1]
    assert over(building, prod, workers, {}) == workers


@pytest.mark.parametrize("name", PHASES)
def test_phases_and_playbooks_name_the_same_plays(name: str):
    plays = yaml.safe_load((playbooks() / name).read_text())
    told = [play for phase in PHASES[name] for play in phase.plays]
    working = [play for play in plays if {"roles", "tasks"} & set(play)]
    assert {p["name"] for p in working if p["tags"] != "always"} == set(told)
    for one in working:
        assert one["tags"] in ("always", one["name"].replace(" ", "_"))


def test_a_later_run_knows_what_hosts_fetched():
    told = fetched({"release": 12, "commit": "ab" * 20})
    assert told == {"fetched": {"release": "0000012-abababababab"}}
    assert fetched({}) == {}


def test_what_several_runs_come_to():
    bad = Outcome(False, (Failure("prodweb1", "build", "no"),), ("prodweb2",), 2.0, "prepare")
    both = merged([Outcome(True, (), ("prodweb3",), 1.0), bad], 2.5)
    assert both == Outcome(False, bad.failures, ("prodweb3", "prodweb2"), 2.5, "prepare")


# -- at work -----------------------------------------------------------------------------------


@command(permission="deploy", changes="environment")
def roll(job: Job, environment: Environment) -> Progress[None]:
    """Roll over all hosts, and mend them where it stops."""
    given = {"release": 3, "commit": "c" * 40, "packlead_epoch": job.operation.number,
             "packlead_once": "prodmanager1"}  # fmt: skip
    try:
        outcome = play(job, "deploy.yml", environment, HOSTS, given)
    except Cancelled:
        play(job, "mend.yml", environment, HOSTS, given, stoppable=False)
        raise
    yield Note(f"{len(outcome.failures)} failures")
    if outcome.ok:
        yield Done(f"{len(outcome.hosts)} hosts")
    else:
        yield Stopped(", ".join(f"{f.host}: {f.text}" for f in outcome.failures))


class Played:
    """Playbooks in memory: they report every host, wait where told to, and break where told to.

    With `lasting` those that do not break last on, once one has broken.
    """

    def __init__(self) -> None:
        self.runs: list[tuple[tuple[str, ...], list[str], Mapping[str, Any]]] = []
        self.hold, self.breaks, self.at_once, self.most = "", "", 0, 0
        self.lasting = self.broken = False
        self.go, self._lock = threading.Event(), threading.Lock()

    def state(self, _place: str) -> str:
        return "new"

    def attend(self, _place: str) -> None:
        """Nothing runs on by itself here."""

    def play(
        self, _place: str, _playbook: str, _environment: str, hosts: Sequence[Instance],
        variables: Mapping[str, Any], tell: Callable[[str, Event], None],
        cancelled: Callable[[], str], plays: Sequence[str] = (),
    ) -> Outcome:  # fmt: skip
        names = [host.name for host in hosts]
        bad = [n for n in names if f"{plays[0]} {n}" == self.breaks]
        with self._lock:
            self.broken = self.broken or bool(bad)
            lasts = plays[0] == self.hold or (self.lasting and self.broken and not bad)
            self.runs.append((tuple(plays), names, variables))
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        try:
            tell("progress", StepProgress(plays[0], "at it", 0, len(hosts)))
            while lasts and not self.go.wait(0.02):
                if by := cancelled():
                    raise Cancelled(by)
            for name in names:
                tell(name, HostReport(name, "is ready", plays[0]))
            failures = tuple(Failure(n, plays[0], "it broke") for n in bad)
            return Outcome(not bad, failures, tuple(n for n in names if n not in bad), 0.1, "")
        finally:
            with self._lock:
                self.at_once -= 1

    def over(self, phase: str) -> list[list[str]]:
        return [names for plays, names, _ in self.runs if plays[0] == phase]


@pytest.fixture
def played() -> Played:
    return Played()


@pytest.fixture
def say(config: Config, store: Store, played: Played) -> Iterator[Callable[..., Operation]]:
    ansible = config.ansible.model_copy(update={"shard": 2})
    config = config.model_copy(update={"ansible": ansible})
    Path(config.data).mkdir(exist_ok=True)
    known = {c.name: c for c in map(read, (roll, shard))}
    dispatcher = Dispatcher(config, known, store)
    adapters = cast(Any, SimpleNamespace(playbooks=played))
    engine = Engine(store, dispatcher, lambda _: adapters, Path(config.data), lease=2, poll=0.05)
    engine.start()

    def ask(line: str) -> Operation:
        who = Who("slack", "U0ADA", "T0LAB")
        reply = dispatcher.ask(Request(f"{line} {time.time_ns()}", line, who))
        assert reply.ok, reply.text
        found = store.get(reply.operation)
        assert found
        return found

    yield ask
    played.go.set()
    engine.stop()


def ended(store: Store, operation: Operation) -> tuple[str, Event]:
    """Return how an operation ended, and its last event."""
    until(lambda: not _now(store, operation).live, f"#{operation.number} ends")
    return _now(store, operation).state, store.entries(operation.id)[-1].event


def _now(store: Store, operation: Operation) -> Operation:
    found = store.get(operation.id)
    assert found
    return found


def test_it_is_told_as_one_and_a_worker_drives_one_shard_at_a_time(
    say: Callable[[str], Operation], store: Store, played: Played
):
    asked = say("roll prod")
    assert ended(store, asked) == ("done", Done("7 hosts"))
    assert sorted(map(len, played.over("prepare"))) == [1, 2, 2, 2]
    assert played.over("migrate") == [["prodmanager1", "prodweb1", "prodweb2"]]
    assert sorted(map(len, played.over("switch the rest"))) == [1, 2, 2]
    assert played.most == 1
    epochs = {given["packlead_epoch"] for _, _, given in played.runs}
    assert epochs == {asked.number}, "to the hosts it is one operation"
    turns = [given["packlead_turn"] for _, _, given in played.runs]
    assert len(set(turns)) == len(turns), "and what is begun later is newer, whoever begins it"
    children = store.children(asked.id)
    assert [c.line for c in children][:2] == [
        f"shard prod prepare, 1 of 4, of #{asked.number}",
        f"shard prod prepare, 2 of 4, of #{asked.number}",
    ]
    assert {c.state for c in children} == {"done"}
    assert not any(c.audience for c in children), "they have no card of their own"
    events = [entry.event for entry in store.entries(asked.id)]
    said = [e.host for e in events if isinstance(e, HostReport) and e.step == "prepare"]
    assert sorted(said) == sorted(host.name for host in HOSTS)
    last = [e for e in events if isinstance(e, StepProgress) and e.step == "prepare"][-1]
    assert (last.detail[:13], last.done, last.total) == ("4 of 4 shards", 7, 7)


def test_one_that_fails_to_prepare_ends_the_others(
    say: Callable[[str], Operation], store: Store, played: Played
):
    played.breaks, played.lasting = "prepare prodcelery1", True
    asked = say("roll prod")
    assert ended(store, asked) == ("failed", Stopped("prodcelery1: it broke"))
    assert played.over("migrate") == [], "nothing that serves was touched"
    states = [child.state for child in store.children(asked.id)]
    assert states.count("failed") == 1 and "cancelled" in states


def test_one_that_fails_to_switch_leaves_the_others_alone(
    say: Callable[[str], Operation], store: Store, played: Played
):
    played.breaks = "switch the rest prodcelery1"
    asked = say("roll prod")
    assert ended(store, asked) == ("failed", Stopped("prodcelery1: it broke"))
    assert sorted(map(len, played.over("switch the rest"))) == [1, 2, 2]


def test_stop_reaches_every_shard_and_then_all_are_mended(
    say: Callable[[str], Operation], store: Store, played: Played
):
    played.hold = "prepare"
    asked = say("roll prod")
    until(lambda: played.at_once, "a shard begins")
    store.cancel(asked.id, "bob")
    assert ended(store, asked)[0] == "cancelled"
    prepared = [c for c in store.children(asked.id) if " prepare" in c.line]
    assert {child.state for child in prepared} == {"cancelled"}
    assert {child.cancelled_by for child in prepared} == {"bob"}
    assert sorted(map(len, played.over("mend"))) == [1, 2, 2, 2]


def test_two_environments_share_a_worker_and_both_come_to_their_end(
    say: Callable[[str], Operation], store: Store, played: Played
):
    both = [say("roll prod"), say("roll puppystream")]
    for asked in both:
        assert ended(store, asked) == ("done", Done("7 hosts"))
    assert played.most <= 3, "a shard, and what each roll plays itself"


def test_nobody_can_say_a_shard(say: Callable[[str], Operation], store: Store, played: Played):
    state, event = ended(store, say("shard prod prepare, 1 of 4, of #1"))
    assert state == "failed" and isinstance(event, Stopped) and event.reason == "refused"
    assert played.runs == []


def test_a_phase_that_goes_on_is_no_step_of_the_card():
    [ahead] = [phase for phase in PHASES["rollback.yml"] if phase.goes_on]
    assert ahead == Phase(("go ahead",), "rest", goes_on=True, silent=True)
