"""A roll over more hosts than one worker should drive: its parallel plays run in shards.

A shard is a child operation, which any worker takes, one at a time each. What it reports of hosts
stands in the log of the roll, and so in its thread; the roll tells how far all of them are, waits
for them, and ends them where one has failed too early or somebody says stop.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from bot.adapters.aws.records import Instance
from bot.adapters.records import Failure, Outcome
from bot.errors import Cancelled, Refused
from bot.events import (
    Event,
    HostReport,
    Output,
    StepEnded,
    StepProgress,
    StepStarted,
    WasCancelled,
)
from bot.operations import Operation
from bot.words import say

if TYPE_CHECKING:
    from bot.job import Job, Steps
    from bot.store import Store

MEND = "mend.yml"
NOTE = "shard"  # the note that holds what a shard is to do, and then how it ended
LOOK = 0.25  # seconds between two looks at the shards
STEPS = (StepStarted, StepProgress, StepEnded)
OUT = "see who is out"  # a play that goes with the one in which hosts take turns
ASIDE = "clean"  # a play that is part of two phases, and so no step of the card


@dataclass(frozen=True)
class Phase:
    """Plays of a playbook that go over the same hosts: `over` is all, behind (a balancer) or rest,
    or building: those that do not have the release ready.

    Those behind a balancer take turns, and are not sharded. Where a host of a `fatal` one fails the
    other shards are ended, as Ansible ends the other hosts; where it `goes_on` the next follows.
    """

    plays: tuple[str, ...]
    over: str = "all"
    fatal: bool = False
    goes_on: bool = False
    silent: bool = False  # it is no step of the card

    @property
    def name(self) -> str:
        return self.plays[0]


PHASES: Mapping[str, tuple[Phase, ...]] = {
    "deploy.yml": (
        Phase(("prepare",), fatal=True),
        Phase(("migrate", OUT, "switch web", "clean", "stayed behind"), "behind"),
        Phase(("switch the rest", "clean"), "rest"),
    ),
    "rollback.yml": (
        Phase(("prepare",), "building", fatal=True),
        Phase(("go ahead",), "rest", goes_on=True, silent=True),
        Phase((OUT, "switch web", "stayed behind"), "behind"),
        Phase(("switch the rest",), "rest"),
    ),
    "restart.yml": (
        Phase(("reach",), fatal=True),
        Phase((OUT, "switch web"), "behind"),
        Phase(("switch the rest",), "rest"),
    ),
    MEND: (Phase(("mend",)),),
}


@dataclass(frozen=True)
class Share:
    """What one shard is to do."""

    playbook: str
    plays: tuple[str, ...]
    hosts: tuple[Instance, ...]
    variables: Mapping[str, Any]
    stoppable: bool


SHARES, OUTCOMES = TypeAdapter(Share), TypeAdapter(Outcome)


def split(hosts: Sequence[Instance], most: int) -> list[tuple[Instance, ...]]:
    """Return the hosts in as few shards as there can be, of as even a size as can be.

    Types are dealt out evenly too: they take different times, and all wait for the last shard.
    """
    count = -(-len(hosts) // most)
    dealt = sorted(hosts, key=lambda host: host.type)
    return [tuple(dealt[n::count]) for n in range(count)]


class Shards:
    """The shards of one roll, as its own operation and as theirs."""

    def __init__(self, job: Job, store: Store, steps: Steps) -> None:
        self._job, self._store, self._steps = job, store, steps

    def most(self) -> int:
        """Return how many hosts one run may drive: as it was when the operation asked first."""
        return self._job.step("shard", lambda: self._job.config.ansible.shard, int)

    def play(
        self,
        phase: Phase,
        playbook: str,
        environment: str,
        hosts: Sequence[Instance],
        variables: Mapping[str, Any],
        most: int,
        stoppable: bool = True,
    ) -> Outcome:
        """Play a phase in shards to its end; raises Cancelled as soon as all of them have ended."""
        parts = split(hosts, most)

        def work() -> Outcome:
            children = []
            for number, part in enumerate(parts, 1):
                share = Share(playbook, phase.plays, part, variables, stoppable)
                children.append(self._submit(environment, phase, number, len(parts), share))
            return self._wait(phase, parts, children, stoppable)

        return self._job.step(f"shards of {phase.name}", work, Outcome)

    def take(self) -> Outcome:
        """Do what this shard is to do; what hosts report is told in the log of the whole."""
        mine = self._job.operation

        def read() -> Share | None:
            known = self._store.note(NOTE, mine.id).get("share")
            return SHARES.validate_python(known) if known else None

        share = self._job.step("share", read, Share | None)
        if share is None or not mine.parent:
            raise Refused("a shard is a part of a roll, which alone can have it played")
        outcome = self._job.play(
            share.playbook, mine.environment, share.hosts, share.variables, share.stoppable,
            mend="" if share.playbook == MEND else MEND, plays=share.plays, whole=mine.parent,
            tell=self._tell, asked=self._asked,
        )  # fmt: skip

        def give() -> str:
            told = OUTCOMES.dump_python(outcome, mode="json")
            self._store.keep_note(NOTE, mine.id, {"outcome": told})
            return ""

        self._job.step("give back", give, str)
        return outcome

    def own(self, phase: Phase) -> Any:
        """Return what tells the events of plays that the roll plays itself: of no other step."""
        mine = self._job.operation.id

        def tell(key: str, event: Event) -> None:
            if not isinstance(event, STEPS) or event.step in set(phase.plays) - {ASIDE}:
                self._store.append(mine, key, event)

        return tell

    # -- as the whole ------------------------------------------------------------------------------

    def _submit(
        self, environment: str, phase: Phase, number: int, of: int, share: Share
    ) -> Operation:
        mine = self._job.operation
        id = f"{mine.id}/{phase.name.replace(' ', '-')}-{number}"
        if self._store.get(id) is None:
            told = {"share": SHARES.dump_python(share, mode="json")}
            self._store.keep_note(NOTE, id, told)
        line = f"shard {environment} {phase.name}, {number} of {of}, of #{mine.number}"
        made, _ = self._store.submit(
            id, line=line, command="shard", environment=environment, person=mine.person,
            front=mine.front, parent=mine.id,
        )  # fmt: skip
        return made

    def _wait(
        self,
        phase: Phase,
        parts: Sequence[tuple[Instance, ...]],
        children: Sequence[Operation],
        stoppable: bool,
    ) -> Outcome:
        watch = Watch(self._store, self._job.operation, phase, parts, children)
        stopped = ended = ""
        while True:
            self._steps.alive()
            stopped = stopped or (self._steps.cancelled() if stoppable else "")
            live, bad = watch.look()
            if not ended and (stopped or (bad and phase.fatal)):
                ended = stopped or f"#{self._job.operation.number}"
                for child in live:
                    self._store.cancel(child.id, ended)
            if not live:
                break
            time.sleep(LOOK)
        outcome = merged([self._outcome(child) for child in children], watch.seconds())
        watch.close(outcome.ok, cancelled=bool(stopped))
        if stopped:
            raise Cancelled(stopped)
        return outcome

    def _outcome(self, child: Operation) -> Outcome:
        """Return how a shard ended; where it could not say so itself, from its last event."""
        if told := self._store.note(NOTE, child.id).get("outcome"):
            return OUTCOMES.validate_python(told)
        last = self._store.entries(child.id)[-1].event
        if isinstance(last, WasCancelled) and last.by == f"#{self._job.operation.number}":
            return Outcome(False)  # another one failed, and tells why
        name = child.line.partition(", ")[2].rpartition(", ")[0]
        return Outcome(False, (Failure(f"shard {name}", "playing it", say(last)),))

    # -- as a shard --------------------------------------------------------------------------------

    def _asked(self) -> str:
        """Say who has said stop; nobody waits for a shard of what is over."""
        whole = self._store.get(self._job.operation.parent)
        over = whole is None or not whole.live
        return self._steps.cancelled() or ("the end of the whole" if over else "")

    def _tell(self, key: str, event: Event) -> None:
        mine = self._job.operation
        if isinstance(event, HostReport | Output):
            self._store.append(mine.parent, key, event)
        elif isinstance(event, StepProgress):
            self._store.append(mine.id, key, event)


class Watch:
    """Looks at shards again and again, and tells in the log of the whole how far they are."""

    def __init__(
        self,
        store: Store,
        whole: Operation,
        phase: Phase,
        parts: Sequence[tuple[Instance, ...]],
        children: Sequence[Operation],
    ) -> None:
        self._store, self._whole, self._phase = store, whole, phase
        self._sizes = {c.id: len(part) for c, part in zip(children, parts, strict=True)}
        self._read = dict.fromkeys(self._sizes, 0)
        self._done = dict.fromkeys(self._sizes, 0)
        self._task = ""
        self._tell("begin", StepStarted(phase.name))

    def look(self) -> tuple[list[Operation], bool]:
        """Return the shards that have not ended, and whether one has failed."""
        mine = [c for c in self._store.children(self._whole.id) if c.id in self._sizes]
        for child in mine:
            if child.state == "done":
                self._done[child.id] = self._sizes[child.id]
            elif child.state == "running":
                self._read_on(child)
        over = sum(not child.live for child in mine)
        done, total = sum(self._done.values()), sum(self._sizes.values())
        detail = ", ".join(part for part in (f"{over} of {len(mine)} shards", self._task) if part)
        told = StepProgress(self._phase.name, detail, done, total)
        self._tell(f"{over}:{done}:{self._task}", told)
        return [c for c in mine if c.live], any(c.state in ("failed", "cancelled") for c in mine)

    def seconds(self) -> float:
        """Return how long it took from the first to the last of them."""
        mine = [c for c in self._store.children(self._whole.id) if c.id in self._sizes]
        return max(c.finished or c.created for c in mine) - min(c.created for c in mine)

    def close(self, ok: bool, cancelled: bool) -> None:
        state = "cancelled" if cancelled else "done" if ok else "failed"
        self._tell("end", StepEnded(self._phase.name, state))

    def _read_on(self, child: Operation) -> None:
        for entry in self._store.entries(child.id, self._read[child.id]):
            self._read[child.id] = entry.number
            if isinstance(entry.event, StepProgress):
                self._task = entry.event.detail
                if entry.event.total:
                    self._done[child.id] = entry.event.done

    def _tell(self, key: str, event: Event) -> None:
        if not self._phase.silent:
            self._store.append(self._whole.id, f"shards:{self._phase.name}:{key}", event)


def merged(outcomes: Sequence[Outcome], seconds: float) -> Outcome:
    """Return what several runs come to: well where all are; `play` is where the first stood."""
    return Outcome(
        all(o.ok for o in outcomes),
        tuple(failure for o in outcomes for failure in o.failures),
        tuple(dict.fromkeys(host for o in outcomes for host in o.hosts)),
        round(seconds, 3),
        next((o.play for o in outcomes if o.play), ""),
    )
