"""The Slack audience: reads the event log and keeps a card and a thread for every operation.

It only reads: Slack may be away for as long as it likes, work does not notice. One process writes
at a time, held by a lock on the data folder and, on a shared database, by short slots of time.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from bot.events import Entry
from bot.fronts import cards
from bot.fronts.poster import KIND, Desk, tell
from bot.fronts.slack_send import Away, Lost, No
from bot.fronts.teller import Teller
from bot.store import Operation, Store

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.2
AGAIN_SECONDS = 2.0
WAY_SECONDS = 1.0
PAGE = 1000
WHISPER_TRIES = 8
SLOT_SECONDS = 5.0
PARTING_SECONDS = 2.0


News = tuple[Operation, dict[str, Any], list[Entry]]


class Audience:
    """Tells operations in Slack until it is stopped, and goes on where it, or another, stopped."""

    def __init__(
        self, desk: Desk, pen: Pen | None = None, busy: Callable[[], bool] = lambda: False
    ) -> None:
        self.desk, self.pen, self.busy = desk, pen, busy
        self.tellers: dict[str, Teller] = {}
        self._seen, self._looked = 0, float("-inf")
        # On Postgres an entry may appear after one with a higher number: then all is read again.
        self._late = not desk.store.alone
        self._whispers: list[tuple[Mapping[str, Any], str]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def whisper(self, audience: Mapping[str, Any], said: str) -> None:
        """Have something said to one person, soon."""
        self._whispers.append((audience, said))
        self.desk.changed.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Read and tell until stopped; then let what has begun come to its end."""
        while not stop.is_set():
            await self._let_pass()
            await self._turn()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.desk.changed.wait(), LOOK_SECONDS)
            self.desk.changed.clear()
        await self._part()

    async def _let_pass(self) -> None:
        """Wait for those who are just being answered: nobody sees a card half a second later."""
        until = self.desk.clock() + WAY_SECONDS
        while self.busy() and self.desk.clock() < until:
            await asyncio.sleep(0.02)

    async def _turn(self) -> None:
        self._say_whispers()
        try:
            if self.pen is not None and not await self.desk.database(self.pen.hold):
                self._put_down()
                return
            await self._look()
        except Exception:
            log.exception("reading the log for Slack")
            return
        self._send_out()

    async def _look(self) -> None:
        again = self.desk.clock() - self._looked >= AGAIN_SECONDS
        newest = await self.desk.database(self.desk.store.newest_entry)
        if newest == self._seen and not again:
            return
        if again:
            self._looked = self.desk.clock()
        known = {id: teller.story.last for id, teller in self.tellers.items()}
        since = 0 if again and self._late else self._seen
        news = await self.desk.database(read, self.desk.store, known, since)
        self._seen = newest
        for operation, note, entries in news:
            if operation.id not in self.tellers:
                self.tellers[operation.id] = Teller(operation, note, self.desk)
            self.tellers[operation.id].take(operation, entries)

    def _put_down(self) -> None:
        """Somebody else writes now: what is on its way here they find noted, and mark."""
        for teller in self.tellers.values():
            if teller.task:
                teller.task.cancel()
        self.tellers.clear()

    def _send_out(self) -> None:
        """Give every teller that has something to do its turn."""
        for id, teller in list(self.tellers.items()):
            if teller.finished and (teller.task is None or teller.task.done()):
                del self.tellers[id]
        self.desk.running = sum(teller.moving for teller in self.tellers.values())
        now = self.desk.clock()
        for teller in self.tellers.values():
            if teller.due <= now and (teller.task is None or teller.task.done()):
                teller.task = asyncio.create_task(teller.step())

    def _say_whispers(self) -> None:
        whispers, self._whispers = self._whispers, []
        for audience, said in whispers:
            task = asyncio.create_task(self._whisper(audience, said))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _whisper(self, audience: Mapping[str, Any], said: str) -> None:
        for _ in range(WHISPER_TRIES):
            style = self.desk.styles.get("private", cards.Style.PLAN)
            try:
                await tell(self.desk.web, audience, cards.answer(said, style))
                return
            except Away as away:
                await asyncio.sleep(min(max(away.seconds, 0.2), 30.0))
            except (Lost, No) as error:
                log.error("answering in Slack: %s", error)
                return

    async def _part(self) -> None:
        """Let messages on their way arrive, so that none needs to be said twice."""
        self._say_whispers()
        tasks = {t.task for t in self.tellers.values() if t.task and not t.task.done()}
        if waiting := tasks | self._tasks:
            _, late = await asyncio.wait(waiting, timeout=PARTING_SECONDS)
            for task in late:
                task.cancel()
        if self.pen is not None:
            self.pen.drop()


def read(store: Store, known: Mapping[str, int], since: int) -> list[News]:
    """Return what is not told yet: each operation with its note, and its log since it was read.

    Of those that are known the log is read where it has entries after `since`, or is over: on
    Postgres an end may be numbered before what was read already. 0: of all.
    """
    waiting = store.unfinished(KIND)  # first: what a row says to be over has its end in the log
    recent = store.entries_after(since, PAGE) if since else []
    touched = {entry.operation for entry in recent}
    everything = not since or len(recent) >= PAGE
    found: list[News] = []
    for operation in waiting:
        new = operation.id not in known
        note = store.note(KIND, operation.id) if new else {}
        after, entries = known.get(operation.id, 0), list[Entry]()
        while new or everything or operation.id in touched or not operation.live:
            page = store.entries(operation.id, after, PAGE)
            entries += page
            if len(page) < PAGE:
                break
            after = page[-1].number
        found.append((operation, note, entries))
    return found


class Pen:
    """Who holds it writes to Slack (or GitHub). It falls from a dead hand in a few seconds."""

    def __init__(self, store: Store, folder: Path, name: str = "slack") -> None:
        self.store, self.name, self.path = store, name, folder / f"{name}-audience.lock"
        self._file: TextIO | None = None
        self._slot = -1

    def hold(self) -> bool:
        """Take it or keep it; False while somebody else has it."""
        if self._file is None and not self._lock():
            return False
        return self.store.alone or self._take_slot()

    def drop(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _lock(self) -> bool:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        self._file = file
        return True

    def _take_slot(self) -> bool:
        """Of several machines the one that was first to name this slot; it names the next early."""
        now = self.store.now()
        slot = int(now // SLOT_SECONDS)
        if self._slot < slot:
            if not self.store.once(f"{self.name}-pen:{slot}", 60.0):
                return False
            self._slot = slot
        if self._slot == slot and now % SLOT_SECONDS > SLOT_SECONDS / 2:
            self._slot += self.store.once(f"{self.name}-pen:{slot + 1}", 60.0)
        return True
