"""What a job does on one host by itself: a command, a shell. Never begun a second time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bot.adapters.aws.records import Fleet, Instance
from bot.adapters.records import Ran, Talked
from bot.detached import Lost
from bot.errors import Cancelled, Refused
from bot.events import Event, Note, Typed
from bot.sessions import Sessions
from bot.store import Store

if TYPE_CHECKING:
    from bot.job import Job, Steps

MONTH = 31 * 86400.0
TERMINAL = "terminal"  # the note of a terminal that holds a shell
SILENCE = 20.0  # seconds without a word from it
GONE = "Packlead was stopped in the middle, and the shell with it"


class Far:
    """The hosts, for what must not be done twice."""

    def __init__(self, job: Job, store: Store, steps: Steps) -> None:
        self._job, self._store, self._steps = job, store, steps
        self._sessions = Sessions(store)

    def run(self, host: Instance, argv: Sequence[str], seconds: float) -> Ran:
        """Run a command of the application on a host, to its end.

        Raises Cancelled. It is `lost` where it was begun and nobody knows how it went on.
        """
        mine, remote = self._job.operation, self._job.held().remote
        place = f"{mine.number}"

        def work() -> Ran:
            # The folder of a run lies on one machine; that it was begun is known to all of them.
            first = self._store.once(f"far:{mine.id}", MONTH)
            if first:
                self._steps.take(place, lambda _: "new")  # so that who has it is found again
            elif not remote.begun(place):
                return Ran("lost", detail="it was begun by another worker, which has gone")
            try:
                return remote.run(
                    place, host, argv, seconds,
                    lambda key, event: self._store.append(mine.id, f"far:{key}", event),
                    self._steps.cancelled,
                )  # fmt: skip
            except Lost as lost:
                return Ran("lost", detail=lost.text)

        told = {"host": host.name}
        return self._job.step("run", lambda: self._job.audited("run", told, work), Ran)

    def talk(self, host: Instance, seconds: float, welcome: str) -> Talked:
        """Hold a shell for the person's messages. Raises Cancelled."""
        mine, remote = self._job.operation, self._job.held().remote

        def work() -> Talked:
            if not self._store.once(f"far:{mine.id}", MONTH):
                return Talked("lost", GONE)
            line = _Messages(self._job, self._store, self._sessions, self._steps, welcome)
            return remote.talk(host, seconds, line)

        try:
            told = {"host": host.name}
            return self._job.step("talk", lambda: self._job.audited("shell", told, work), Talked)
        finally:
            self._sessions.close(mine)

    def attend(self) -> Talked:
        """Wait while a terminal holds a shell of its own. Raises Cancelled."""
        mine = self._job.operation

        def work() -> Talked:
            return _attended(self._store, self._steps, mine.id)

        return self._job.step("attend", lambda: self._job.audited("shell", {}, work), Talked)


class _Messages:
    """The line to somebody who types in Slack."""

    def __init__(
        self, job: Job, store: Store, sessions: Sessions, steps: Steps, welcome: str
    ) -> None:
        self._job, self._store, self._sessions = job, store, sessions
        self._steps, self._welcome = steps, welcome
        self._after = self._count = 0

    def opened(self) -> None:
        self._sessions.open(self._job.operation)
        self.tell(Note(self._welcome))

    def heard(self) -> list[str]:
        self._after, found = self._sessions.typed(self._job.operation, self._after)
        return found

    def took(self, text: str) -> None:
        self.tell(Typed(self._job.operation.person, text))

    def tell(self, event: Event) -> None:
        self._count += 1
        self._store.append(self._job.operation.id, f"talk:{self._count}", event)

    def cancelled(self) -> str:
        return self._steps.cancelled()


def _attended(store: Store, steps: Steps, id: str) -> Talked:
    seen, since = None, time.monotonic()
    while True:
        if by := steps.cancelled():
            raise Cancelled(by)
        note = store.note(TERMINAL, id)
        if "ended" in note:
            return Talked("left", str(note["ended"]))
        if note.get("beat") != seen:
            seen, since = note.get("beat"), time.monotonic()
        if time.monotonic() - since > SILENCE:
            return Talked("silent")
        time.sleep(0.3)


def choose(fleet: Fleet, type: str, fallback: bool = True) -> tuple[Instance, str]:
    """Return the host to work on, and what is to be said about it. Raises Refused."""
    running = [i for i in fleet.instances if i.state == "running"]
    found = [i for i in running if i.type == type]
    if found:
        return min(found, key=lambda i: i.number), ""
    if not running or not fallback:
        raise Refused(f"{fleet.environment} has no running {type} instance")
    return running[0], f"{fleet.environment} has no running {type}: it is {running[0].name}"
