"""What a board shows: each environment as it stands, what waits, what was done.

It is read from the store alone, in one transaction: looking at a board never asks AWS or a host.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

import sqlalchemy as sa

from bot import words
from bot.config import Config
from bot.dora import Deploy, Figures, figures
from bot.events import Event, Question, decode
from bot.frozen import Freeze, later
from bot.locks import Lock
from bot.operations import LIVE, Operation, read_operation
from bot.people import People, Speaker
from bot.releases import Release
from bot.schema import events, locks, notes, operations, releases
from bot.store import Store

DAYS = 30
RECENT = 15
Windows = Callable[[str], Freeze | None]
LATE = 120.0  # seconds after which a time that has passed means that no clock runs


@dataclass(frozen=True)
class Asked:
    """An operation that waits, and what it asks."""

    operation: Operation
    question: Question


@dataclass(frozen=True)
class Coming:
    """A line that the clock says next; `at` is None where no clock runs."""

    name: str
    say: str
    at: float | None


@dataclass(frozen=True)
class Standing:
    """One environment. `health` is well, ill, changing or unknown; `said` tells why."""

    name: str
    health: str
    said: str
    live: Release | None = None  # the newest healthy one
    operation: Operation | None = None  # by which it became live
    last: Operation | None = None  # the newest one that changed something and is over
    lock: Lock | None = None
    freeze: Freeze | None = None  # that holds now
    freezes: Freeze | None = None  # that the config has next
    running: Operation | None = None
    queue: tuple[Operation, ...] = ()
    asks: tuple[Asked, ...] = ()
    coming: tuple[Coming, ...] = ()
    figures: Figures = field(default_factory=Figures)


@dataclass(frozen=True)
class Board:
    """Everything, as it was at one moment; times in Unix seconds."""

    at: float
    environments: tuple[Standing, ...]
    recent: tuple[Operation, ...]
    asks: tuple[Asked, ...]


def no_windows(_environment: str) -> Freeze | None:
    return None


def read(
    store: Store,
    config: Config,
    only: Collection[str] | None = None,
    windows: Windows = no_windows,
) -> Board:
    """Return the board of these environments; None: of all, and of what belongs to none.

    `windows` tells the freeze that the config has for an environment, now or next.
    """
    names = [name for name in config.environments if only is None or name in only]
    now, loose = store.now(), only is None
    return store.look(lambda c: _Reader(c, now, config, names, loose, windows).board())


def told(store: Store, operation: Operation) -> tuple[Event | None, list[Operation]]:
    """Return how an operation ended, or what it asks, and what followed it up."""
    keys = ("end", "question") if operation.state == "waiting" else ("end",)
    mine = (events.c.operation == operation.id) & events.c.key.in_(keys)
    query = sa.select(events).where(mine).order_by(events.c.number.desc()).limit(1)
    row = store.look(lambda c: c.execute(query).first())
    return (decode(row.kind, row.data) if row else None), store.children(operation.id)


def may_answer(asked: Asked, people: People, speaker: Speaker, permission: str) -> bool:
    """Say whether somebody's yes would count; `approve` decides by the same rule."""
    if not asked.question.second:
        return people.may(speaker, permission, asked.operation.environment)
    mine = asked.operation.person == speaker.name
    return not mine and people.is_one(speaker, asked.question.approvers)


class _Reader:
    """One reading, of a handful of queries however many environments there are."""

    def __init__(
        self, c: sa.Connection, now: float, config: Config, names: list[str], loose: bool,
        windows: Windows,
    ) -> None:  # fmt: skip
        self.c, self.now, self.config, self.names, self.loose = c, now, config, names, loose
        self.windows = windows

    def board(self) -> Board:
        live = self._operations(operations.c.state.in_(LIVE))
        asks = self._asks([o for o in live if o.state == "waiting"])
        ended = self._last_ones()
        ends = self._events("end", [o.id for o in ended.values()])
        kept = self._kept()
        by_id = {o.id: o for o in kept[1]}
        held = {row.environment: Lock(**row._asdict()) for row in self.c.execute(sa.select(locks))}
        frozen, clock = self._notes("freeze"), self._notes("clock")
        standings = []
        for name in self.names:
            mine = [o for o in live if o.environment == name and o.exclusive]
            past = [r for r in kept[0] if r.environment == name]
            now_live = next((r for r in reversed(past) if r.state == "healthy"), None)
            running = next((o for o in mine if o.state == "running"), None)
            last = ended.get(name)
            lock, window = held.get(name), self.windows(name)
            freeze = later(Freeze.read(frozen.get(name)), window, self.now)
            standings.append(
                Standing(
                    name,
                    *_health(running, last, ends.get(last.id) if last else None),
                    live=now_live,
                    operation=by_id.get(now_live.operation) if now_live else None,
                    last=last,
                    lock=lock if lock and (not lock.until or lock.until > self.now) else None,
                    freeze=freeze,
                    freezes=window if window and window.since > self.now else None,
                    running=running,
                    queue=tuple(o for o in mine if o.state == "queued"),
                    asks=tuple(a for a in asks if a.operation.environment == name),
                    coming=tuple(self._coming(name, clock)),
                    figures=figures(_deploys(past, by_id), self.now, DAYS),
                )
            )
        return Board(self.now, tuple(standings), tuple(self._recent()), tuple(asks))

    def _operations(self, where: sa.ColumnElement[bool]) -> list[Operation]:
        query = sa.select(operations).where(where, self._here()).order_by(operations.c.number)
        return [read_operation(row) for row in self.c.execute(query)]

    def _here(self) -> sa.ColumnElement[bool]:
        return operations.c.environment.in_([*self.names, *([""] if self.loose else [])])

    def _recent(self) -> list[Operation]:
        query = sa.select(operations).where(operations.c.parent == "", self._here())
        query = query.order_by(operations.c.number.desc()).limit(RECENT)
        return [read_operation(row) for row in self.c.execute(query)]

    def _last_ones(self) -> dict[str, Operation]:
        over = operations.c.exclusive & operations.c.started.is_not(None)
        over &= operations.c.state.not_in(LIVE)
        newest = sa.select(sa.func.max(operations.c.number)).where(over)
        newest = newest.group_by(operations.c.environment)
        found = self._operations(operations.c.number.in_(newest))
        return {o.environment: o for o in found}

    def _kept(self) -> tuple[list[Release], list[Operation]]:
        """Return the releases that matter, in their order, and the operations they came by."""
        since = self.now - DAYS * 86400.0
        newest = (
            sa.select(releases.c.environment, sa.func.max(releases.c.number))
            .where(releases.c.state == "healthy")
            .group_by(releases.c.environment)
        )
        pair = sa.tuple_(releases.c.environment, releases.c.number)
        query = sa.select(releases).where((releases.c.at >= since) | pair.in_(newest))
        query = query.order_by(releases.c.environment, releases.c.number)
        kept = [Release(**row._asdict()) for row in self.c.execute(query)]
        first = operations.c.created >= since - 86400.0  # a yes may have come a day after
        wanted = operations.c.id.in_([r.operation for r in kept if r.state == "healthy"][-200:])
        asked = operations.c.exclusive & first
        return kept, self._operations(asked | wanted)

    def _asks(self, waiting: list[Operation]) -> list[Asked]:
        found = self._events("question", [o.id for o in waiting])
        return [Asked(o, q) for o in waiting if isinstance(q := found.get(o.id), Question)]

    def _events(self, key: str, ids: list[str]) -> dict[str, Event]:
        query = sa.select(events).where(events.c.key == key, events.c.operation.in_(ids))
        return {row.operation: decode(row.kind, row.data) for row in self.c.execute(query)}

    def _notes(self, audience: str) -> dict[str, dict[str, object]]:
        query = sa.select(notes.c.operation, notes.c.data).where(notes.c.audience == audience)
        return {row.operation: row.data for row in self.c.execute(query)}

    def _coming(self, name: str, clock: dict[str, dict[str, object]]) -> Iterable[Coming]:
        for row in self.config.schedule:
            if name in row.say.split():
                at = clock.get(row.name, {}).get("next")
                known = isinstance(at, float | int) and at > self.now - LATE
                yield Coming(row.name, row.say, float(at) if known else None)  # type: ignore[arg-type]


def _health(
    running: Operation | None, last: Operation | None, end: Event | None
) -> tuple[str, str]:
    if running is not None:
        return "changing", f"#{running.number} {running.line}"
    if last is None:
        return "unknown", "nothing was done here yet"
    said = words.say(end) if end else ""
    if last.state == "done":
        return "well", said
    return "ill", said or f"#{last.number} {last.line}: {last.state}"


def _deploys(past: list[Release], by_id: dict[str, Operation]) -> Iterable[Deploy]:
    """Return the releases as deploys: who said yes later has not asked later."""
    by_number = {o.number: o for o in by_id.values()}
    for release in past:
        operation = by_id.get(release.operation)
        if operation is None:
            continue
        asked = operation
        while asked.id.startswith("yes:") and (before := by_number.get(int(asked.id[4:]))):
            asked = before
        yield Deploy(
            release.state,
            asked.created,
            operation.finished,
            back=operation.command == "rollback",
        )
