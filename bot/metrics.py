"""Figures for whoever watches Packlead: from the database where it knows them, else counted here.

What the database tells survives a restart, and every process says the same of it. What a worker
counts (the errors of AWS) it puts there too; how soon Slack was answered each process says itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import sqlalchemy as sa

from bot.counts import COUNTS, Buckets, Counts
from bot.operations import LIVE
from bot.schema import notes, operations, workers
from bot.store import Store

SECONDS = (1.0, 5.0, 15.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)  # of operations
KEPT = ("metrics", "aws")  # the note that holds what workers have counted


@dataclass(frozen=True)
class Reading:
    """What the database knows. Times in seconds."""

    operations: dict[tuple[str, str], int]  # by command and state
    durations: dict[str, Buckets]
    queued: int
    queue_age: float
    beats: dict[str, float]  # how long ago each worker said that it lives
    aws: dict[tuple[str, ...], float]


def read(store: Store) -> Reading:
    """Return the figures of this moment; after what is just being kept, or a counter goes back."""
    return store.transact(lambda c: _read(c, store.now()))


def keep(store: Store, counts: Counts = COUNTS) -> None:
    """Put what this worker has counted into the database."""
    taken = counts.take_aws()
    if not taken:
        return

    def work(c: sa.Connection) -> None:
        audience, operation = KEPT
        empty = {"audience": audience, "operation": operation, "data": {}, "finished": True}
        store.insert_once(c, notes, empty, notes.c.audience)
        mine = (notes.c.audience == audience) & (notes.c.operation == operation)
        held = dict(c.execute(sa.select(notes.c.data).where(mine).with_for_update()).scalar_one())
        for labels, number in taken.items():
            name = " ".join(labels)
            held[name] = held.get(name, 0) + number
        c.execute(notes.update().where(mine).values(data=held))

    try:
        store.transact(work)
    except Exception:
        counts.give_back(taken)
        raise


def _read(c: sa.Connection, now: float) -> Reading:
    o = operations.c
    counted = sa.select(o.command, o.state, sa.func.count()).group_by(o.command, o.state)
    took = o.finished - o.started
    edges = [0.0, *SECONDS]
    slots = [
        sa.func.sum(sa.case((sa.and_(took > low, took <= high), 1), else_=0))
        for low, high in pairwise(edges)
    ]
    first = sa.func.sum(sa.case((took <= 0, 1), else_=0))
    lasted = (
        sa.select(o.command, sa.func.count(), sa.func.sum(took), first, *slots)
        .where(o.state.not_in(LIVE), o.started.is_not(None), o.finished.is_not(None))
        .group_by(o.command)
    )
    durations = {}
    for command, count, total, zero, *each in c.execute(lasted):
        each[0] += zero
        durations[command] = Buckets(SECONDS, [*each, count - sum(each)], float(total))
    waits = sa.select(sa.func.count(), sa.func.min(o.created)).where(o.state == "queued")
    queued, oldest = c.execute(waits).one()
    beats = {row.id: max(0.0, now - row.beat) for row in c.execute(sa.select(workers))}
    audience, operation = KEPT
    where = (notes.c.audience == audience) & (notes.c.operation == operation)
    held = c.execute(sa.select(notes.c.data).where(where)).scalar() or {}
    return Reading(
        operations={(command, state): n for command, state, n in c.execute(counted)},
        durations=durations,
        queued=queued,
        queue_age=max(0.0, now - oldest) if oldest else 0.0,
        beats=beats,
        aws={tuple(name.split(" ", 1)): float(number) for name, number in held.items()},
    )
