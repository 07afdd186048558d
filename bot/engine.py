"""Durable running: an operation survives the bot. DBOS runs the steps, our row is the truth.

Why each guard is here was measured before it was written (docs/engine.md): one workflow, never
renamed, that looks the command up inside; a fixed application version, or a new release of
Packlead would strand what runs; always a queue and a partition key; a unique executor, or "local"
under a file lock; our own heartbeat, since nobody else notices a dead worker; cancel by a flag
that steps poll, never DBOS's own, which frees the environment while the step still runs.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetEnqueueOptions, SetWorkflowID

from bot import alive, masking, metrics
from bot.alive import BEAT, TAKEN, TRUST, Badges, home, living
from bot.as_begun import AsBegun
from bot.config import Config
from bot.database import heard
from bot.detached import forget
from bot.dispatcher import Dispatcher
from bot.engine_claims import put_back, take
from bot.errors import BotError, Cancelled
from bot.events import (
    Answered,
    Done,
    Event,
    Question,
    Stopped,
    WasCancelled,
)
from bot.job import Job
from bot.narrator import Where, narrate, reason
from bot.numbers import heed_left
from bot.outside import Adapters
from bot.remembered import Fenced, Remembered
from bot.store import Operation, Store

log = logging.getLogger(__name__)
QUEUE = "operations"
SHARDS = "shards"  # parts of rolls over many hosts; those that wait for them are on the other queue
LOOKING = 8  # commands that only look, at the same time: a hundred at once must not starve Slack
DAY, KEPT = 86400.0, 30  # seconds; days for which the files of what has ended are kept
IDLE = 60.0  # seconds for which nobody is at an operation that is ours until it is taken up again
_engine: Engine | None = (
    None  # DBOS keeps one instance a process, and workflows are plain functions
)


@DBOS.workflow(name="operation.run", max_recovery_attempts=1_000_000)
def run_operation(id: str) -> str:
    """Run one operation. The only workflow; its name never changes."""
    if _engine is None:
        raise RuntimeError("no engine in this process")
    return _engine.run(id)


class Engine:
    """One worker: takes queued operations and runs them, and takes over from dead workers."""

    def __init__(
        self,
        store: Store,
        dispatcher: Dispatcher,
        make: Callable[[Config], Adapters],
        data: Path,
        lease: float = 15.0,
        poll: float = 0.2,
    ) -> None:
        """Adapters are made of a config: `make` is asked again for an operation that has begun with
        another one than is there now."""
        self.store, self.dispatcher, self.adapters = store, dispatcher, make(dispatcher.config)
        self._begun = AsBegun(
            store,
            dispatcher.config,
            (dispatcher, self.adapters),
            lambda config: (Dispatcher(config, dispatcher.commands, store), make(config)),
        )
        self.lease, self.poll, self.data = lease, poll, data
        self.alone = store.alone
        self.badges = None if self.alone else Badges(data)
        self.me = self.badges.me if self.badges else "local"
        self.stopping = threading.Event()
        self._fed: set[str] = set()
        self._running: set[str] = set()
        self._idle: dict[str, float] = {}  # what is ours and nobody is at, and since when
        self._passed_on: dict[str, float] = {}
        self._good_until = self._tidy_at = 0.0
        self._threads: list[threading.Thread] = []
        self._lock = -1

    def start(self) -> None:
        """Begin to work; waits until the last worker of this machine has gone."""
        global _engine
        _engine = self
        if self.alone:
            self._lock = os.open(self.data / "worker.lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        if self.badges:
            self.badges.wear()
        self._beat()
        DBOS(
            config=DBOSConfig(
                name="packlead",
                system_database_url=self.store.url.replace("postgres://", "postgresql://", 1),
                executor_id=self.me,
                application_version="1",
                serializer=DBOSPortableJSONSerializer(),
                log_level="ERROR",
                **({} if self.alone else {"db_engine_kwargs": {"connect_args": self._heard()}}),
            )
        )
        DBOS.launch()
        DBOS.register_queue(
            QUEUE,
            partition_concurrency=1,
            polling_interval_sec=self.poll,
            on_conflict="always_update",
        )
        # One at a time for each worker, so that they are shared among workers, and its memory holds
        # one playbook's hosts. No partitions: whoever is free takes the next, of any environment.
        DBOS.register_queue(
            SHARDS,
            worker_concurrency=1,
            polling_interval_sec=5 * self.poll,  # it takes minutes, and few have any
            on_conflict="always_update",
        )
        # The beat has a thread of its own: a slow repair must not make this worker look dead.
        for loop, pause in (
            (self._feed, self.poll / 2),
            (self._beat, self.lease * BEAT),
            (self._keep, self.lease / 3),
        ):
            thread = threading.Thread(target=self._again, args=(loop, pause), daemon=True)
            thread.start()
            self._threads.append(thread)
        self._take_back()
        self._take_over()

    def _heard(self) -> dict[str, Any]:
        return {"application_name": "packlead", **heard(self.store.url, self.store.silence)}

    def stop(self, drain: float = 5.0) -> None:
        """Let go of everything: running playbooks go on without us, and are found again."""
        self.stopping.set()
        give_up = time.monotonic() + drain
        for thread in self._threads:  # one that waits for a database that is away is left to it
            thread.join(max(0.0, give_up - time.monotonic()))
        while self._running and time.monotonic() < give_up:
            time.sleep(0.02)
        DBOS.destroy(workflow_completion_timeout_sec=0)
        if self._lock >= 0:
            os.close(self._lock)
        if self.badges:
            self.badges.put_down()

    # -- one operation ---------------------------------------------------------------------------

    def run(self, id: str) -> str:
        """Run an operation from its beginning, or from where it was left."""
        self._running.add(id)
        told = masking.about.set(id)
        try:
            return self._run(id)
        finally:
            masking.about.reset(told)
            self._running.discard(id)

    def _run(self, id: str) -> str:
        self._pass_on(id)
        while (begun := self.store.begin(id)).state == "busy":
            self.owns(id)
            # Not DBOS.sleep: it takes a step number, and a replay waits another number of times.
            time.sleep(0.2)
        operation = self.store.get(id)
        if begun.state == "closed" or operation is None:
            return "closed"
        steps = Remembered(self, id, begun.holder)
        where = Where()
        try:
            dispatcher, adapters = self.dispatcher, self.adapters
            if self._acts(operation):  # what only looks may look again
                if not self.store.turns.played(id).place:
                    heed_left(self.data, operation.number)
                dispatcher, adapters = self._begun.of(operation)
            call, speaker = dispatcher.recall(operation)
            if call.heeds_lock:  # a lock that was taken while it waited; later ones let it run
                steps.run("heed lock", partial(self._heed_lock, operation, call.command.permission))
            job = Job(
                operation,
                speaker,
                dispatcher.config,
                self.store,
                self.dispatcher.people,
                steps,
                adapters,
                self.dispatcher.commands,
            )
            last: Event = narrate(job, call.command.function(job, **call.arguments), steps, where)
        except Cancelled as stop:
            last = WasCancelled(stop.by, where.text)
        except BotError as error:
            last = Stopped(error.text, error.hint, reason(error))
        except Exception:
            if self.stopping.is_set():
                raise Fenced(id) from None  # the floor was taken away below a step
            log.exception("bug in operation %s", operation.number)
            told = f"the log of the worker tells more, at operation #{operation.number}"
            last = Stopped(told, "status shows how the hosts are", "bug")
        state = {Done: "done", Answered: "done", WasCancelled: "cancelled"}.get(
            type(last), "failed"
        )
        # Plain idempotent SQL and no step: it must work even where a replay went wrong.
        if isinstance(last, Question):
            steps.write(partial(self.store.ask, id, last, begun.holder))
            return "waiting"
        steps.write(partial(self.store.end, id, state, last, begun.holder))
        return state

    def _acts(self, operation: Operation) -> bool:
        command = self.dispatcher.commands.get(operation.command)
        return bool(operation.exclusive or operation.parent or (command and command.long))

    def _pass_on(self, id: str) -> None:
        """Leave an operation to the machine on which its playbook is, where a worker lives there.

        Whoever is free takes it from the queue; only there the playbook is found and goes on.
        """
        by = home(self.store.turns.played(id).by)
        if self.alone or by in ("", home(self.me)):
            return
        until = self._passed_on.setdefault(id, time.monotonic() + TAKEN * self.lease)
        if time.monotonic() < until and by in map(home, living(self.store, self.lease)):
            mine = self.store.get(id)
            shard = mine is not None and self._lane(mine) is None
            put_back(id, [self.me], SHARDS if shard else QUEUE)
            raise Fenced(id)

    def _heed_lock(self, operation: Operation, permission: str) -> None:
        """Raise Busy or Refused for what was so when it was asked, and is not when it begins."""
        self.dispatcher.heed_rights(operation, permission)
        self.dispatcher.heed_lock(operation.environment, operation.person, operation.front)

    def step(self, name: str, body: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Do a named step of the operation at hand, or return what it answered before."""
        return DBOS.run_step({"name": name}, body)

    def owns(self, id: str) -> None:
        """Raise Fenced where we are stopping, or were late and another worker took it over."""
        if self.stopping.is_set():
            raise Fenced(id)
        self.still_owns(id)

    def still_owns(self, id: str) -> None:
        """Raise Fenced where we were late and another worker took it over."""
        if time.monotonic() <= self._good_until:
            return
        while time.monotonic() > self._good_until:
            if self.stopping.is_set():
                raise Fenced(id)
            time.sleep(0.1)
        found = DBOS.list_workflows(workflow_ids=[id], load_input=False, load_output=False)
        if not found or found[0].executor_id != self.me:
            raise Fenced(id)

    def wait_for_end(self, id: str, by: str) -> None:
        """Wait until what a worker elsewhere has begun must be over, as it is one lease after."""
        until = time.monotonic() + TAKEN * self.lease
        while home(by) != home(self.me) and time.monotonic() < until:
            if home(by) not in map(home, living(self.store, self.lease)):
                return
            self.owns(id)
            time.sleep(0.2)

    # -- the worker's own threads ----------------------------------------------------------------

    def _again(self, work: Callable[[], None], pause: float) -> None:
        while not self.stopping.wait(pause):
            try:
                work()
            except Exception:
                log.exception("%s", work.__name__)

    def _feed(self) -> None:
        """Enqueue what was accepted: fronts only write rows, so an enqueue cannot be lost."""
        for operation in self.store.live():
            if operation.state == "queued" and operation.id not in self._fed:
                lane = self._lane(operation)
                # By number: DBOS's own order is by a time, on SQLite in whole seconds, and one that
                # is put back behind a later one would wait for it, which waits for the environment.
                order = SetEnqueueOptions(queue_partition_key=lane, priority=operation.number)
                with SetWorkflowID(operation.id), order:
                    DBOS.enqueue_workflow(QUEUE if lane else SHARDS, run_operation, operation.id)
                self._fed.add(operation.id)

    def _lane(self, operation: Operation) -> str | None:
        """Return what runs one at a time: an environment; of what only looks, LOOKING at a time.

        None: it is a shard, and these have no lanes.
        """
        if operation.exclusive:
            return operation.environment
        command = self.dispatcher.commands.get(operation.command)
        if operation.parent and command and command.part:
            return None
        if operation.parent or (command and command.long):
            return f"after #{operation.number}"
        return f"look {operation.number % LOOKING}"

    def _beat(self) -> None:
        """Say that we live. Not patient: a beat that comes late must not count."""
        began = time.monotonic()
        with self.store.engine.begin() as c:
            alive.beat(c, self.store, self.me, self.lease)
        self._good_until = began + self.lease * TRUST

    def _keep(self) -> None:
        """Take over from dead workers, and mend rows that the engine has given up."""
        self._take_back()
        self._take_over()
        self._take_up()
        self.store.expire()
        self._make_room()
        metrics.keep(self.store)
        old = self.store.now() - 2 * self.lease
        begun = ("queued", "running")
        rows = {o.id: o for o in self.store.live() if o.state in begun and o.created < old}
        if not rows:
            return
        for found in DBOS.list_workflows(
            workflow_ids=list(rows), load_input=False, load_output=False
        ):
            if found.status not in ("PENDING", "ENQUEUED", "DELAYED"):
                told = Stopped(f"the engine gave it up ({found.status})", "status", "interrupted")
                self.store.end(found.workflow_id, "failed", told, of=begun)

    def _make_room(self) -> None:
        """Remove what ended runs have told, long after it was read; the log keeps what it meant."""
        if time.monotonic() < self._tidy_at:
            return
        self._tidy_at = time.monotonic() + DAY
        for name in ("runs", "remote"):
            forget(self.data / name, time.time() - KEPT * DAY)

    def _take_back(self) -> None:
        """Go on with what an ended worker of this data folder has left: its playbooks are here."""
        if self.badges is None:
            return
        for worker in self.badges.dropped():
            for id in take(worker, self.me):  # at once: to come to where it was takes a while
                last = self.store.turns.played(id)
                for run in (f"{last.place}.{last.turn}", f"{last.place}.{last.turn}-mend"):
                    if last.place:
                        self.adapters.playbooks.attend(run)
            self.badges.forget(worker)

    def _take_up(self) -> None:
        """Go on with what is ours and nobody is at: the answer to its claim was lost."""
        mine = DBOS.list_workflows(
            executor_id=self.me, status="PENDING", load_input=False, load_output=False
        )
        now, idle = time.monotonic(), {found.workflow_id for found in mine} - self._running
        self._idle = {id: self._idle.get(id, now) for id in idle}
        # Not at once: what has just begun, or has just ended, stands there for a moment too.
        if left := [id for id, since in self._idle.items() if now - since >= IDLE]:
            take(self.me, self.me, left)

    def _take_over(self) -> None:
        """Go on with what dead workers of other machines have left."""
        if self.alone:
            return
        with self.store.engine.begin() as c:
            dead = alive.dead(c, self.store, self.lease)
        if not dead:
            return
        # Private, but conditional on the executor; the public resume_workflow runs a step twice.
        DBOS._recover_pending_workflows(dead)
        for id in dead:
            if not DBOS.list_workflows(
                executor_id=id, status="PENDING", load_input=False, load_output=False, limit=1
            ):
                with self.store.engine.begin() as c:
                    alive.forget(c, self.store, id, self.lease)
