"""What was done before, and what runs: the store, as commands see it. Each answer is a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.adapters.records import Commit
from bot.events import Question
from bot.frozen import Freeze
from bot.store import Lock, Operation, Release, Store

if TYPE_CHECKING:
    from bot.job import Job


class History:
    """The past of one job's house."""

    def __init__(self, job: Job, store: Store) -> None:
        self._job, self._store = job, store

    def live(self, environment: str = "") -> list[Operation]:
        return self._job.step("live", lambda: self._store.live(environment), list[Operation])

    def get(self, number: str) -> Operation | None:
        return self._job.step("get", lambda: self._store.get(number), Operation | None)

    def past(self, environment: str, command: str, limit: int = 20) -> list[Operation]:
        return self._job.step(
            "past", lambda: self._store.history(environment, command, limit), list[Operation]
        )

    def releases(self, environment: str) -> list[Release]:
        return self._job.step(
            "releases", lambda: self._store.releases.newest(environment, 200), list[Release]
        )

    def release(self, environment: str, number: int) -> Release | None:
        return self._job.step(
            "release", lambda: self._store.releases.get(environment, number), Release | None
        )

    def question(self, operation: Operation) -> Question | None:
        """Return what an operation asked at its end."""

        def work() -> Question | None:
            asked = [e.event for e in self._store.entries(operation.id)]
            return next((e for e in asked if isinstance(e, Question)), None)

        return self._job.step("question", work, Question | None)

    def last_run(self, name: str) -> Operation | None:
        """Return the newest operation that a line of the schedule made."""
        return self._job.step(
            "last run", lambda: self._store.newest_of(f"{name}:"), Operation | None
        )

    def next_run(self, name: str) -> float | None:
        """Return when the clock says a line of the schedule next, in Unix seconds."""
        return self._job.step(
            "next run", lambda: self._store.note("clock", name).get("next"), float | None
        )

    def place(self, operation: Operation) -> str:
        """Return the address of an operation's thread in Slack; empty where it has none."""

        def work() -> str:
            card = self._store.note("slack", operation.id).get("card") or {}
            home = self._store.note("slack", "workspace").get("url", "")
            if not card or not home:
                return ""
            return f"{home}archives/{card['channel']}/p{str(card['ts']).replace('.', '')}"

        return self._job.step("place", work, str)

    def freeze(self, environment: str) -> Freeze | None:
        """Return the freeze that somebody said, which may be over."""
        return self._job.step(
            "freeze", lambda: Freeze.read(self._store.note("freeze", environment)), Freeze | None
        )

    def keep_freeze(self, environment: str, freeze: Freeze | None) -> None:
        def work() -> str:
            self._store.keep_note("freeze", environment, vars(freeze) if freeze else {})
            return ""

        self._job.step("keep freeze", work, str)

    def lock(self, environment: str) -> Lock | None:
        return self._job.step("lock", lambda: self._store.locks.of(environment), Lock | None)

    def locks(self) -> list[Lock]:
        return self._job.step("locks", self._store.locks.all, list[Lock])

    def take_lock(self, environment: str, reason: str, seconds: float | None) -> Lock:
        """Lock an environment, and return the lock in force: another one's, if it was faster."""
        me, now = self._job.speaker.name, self._job.now()
        mine = Lock(environment, me, reason, now, now + seconds if seconds else None)
        return self._job.step("take lock", lambda: self._store.locks.take(mine), Lock)

    def drop_lock(self, lock: Lock) -> bool:
        return self._job.step("drop lock", lambda: self._store.locks.drop(lock), bool)

    def begin_release(self, environment: str, commit: Commit) -> Release:
        mine = self._job.operation
        return self._job.step(
            "begin release",
            lambda: self._store.releases.begin(
                environment, mine.id, commit.id, commit.ref, commit.subject, mine.person
            ),
            Release,
        )

    def end_release(self, state: str) -> None:
        def work() -> str:
            self._store.releases.end(self._job.operation.id, state)
            return state

        self._job.step("end release", work, str)

    def give_way(self, environment: str, after: int, before: int) -> None:
        """Say of the healthy releases between two that somebody rolled back from them."""

        def work() -> str:
            self._store.releases.give_way(environment, after, before)
            return ""

        self._job.step("give way", work, str)

    def approve(self, asked: Operation, token: str) -> Operation | None:
        """Let what was asked about go on; None where it was answered already."""
        by, known = self._job.speaker.name, self._job.commands.get(asked.command)
        takes_over = bool(known and known.takes_over)
        return self._job.step(
            "approve",
            lambda: self._store.approve(asked, token, by, takes_over),
            Operation | None,
        )

    def cancel(self, operation: Operation, where: str = "before it began") -> str:
        by = self._job.speaker.name
        return self._job.step("cancel", lambda: self._store.cancel(operation.id, by, where), str)
