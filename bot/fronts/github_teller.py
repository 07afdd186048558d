"""The GitHub audience: reads the event log and keeps a deployment there for every deploy.

It only reads. GitHub may be away for as long as it likes: it is told later, and work does not
notice. What it is told twice at most is a status, since a deployment names its operation.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bot import words
from bot.adapters.records import Deployment
from bot.errors import BotError
from bot.events import (
    END,
    Done,
    Entry,
    Event,
    HostReport,
    Planned,
    StepProgress,
    StepStarted,
)
from bot.fronts.audience import Pen
from bot.masking import mask
from bot.outside import Deployments
from bot.store import Operation, Store

log = logging.getLogger(__name__)
KIND = "github"
COMMANDS = ("deploy", "rollback")
NEWS = 86400.0  # seconds after which an end that was not told is no news any more
AGAIN = 5.0  # seconds after which the log is read also where nothing newer is known
LOOK, FIRST, MOST = 1.0, 2.0, 300.0  # seconds: between looks, and before a failure is tried again
PAGE = 1000


@dataclass
class Tale:
    """What is known of one operation, and what GitHub was told of it."""

    operation: Operation
    note: dict[str, Any]
    read: int = 0
    commit: str = ""
    title: str = ""
    steps: frozenset[str] = frozenset()  # those of the plan: waiting for CI is none of them
    begun: bool = False
    end: Event | None = None
    ended: float = 0.0  # by the store's clock
    tries: int = 0
    due: float = field(default=0.0)

    def hear(self, entry: Entry) -> None:
        self.read = entry.number
        match entry.event:
            case Planned(commit=commit, title=title, steps=steps):
                self.commit, self.title = commit or self.commit, title
                self.steps = frozenset(step.id for step in steps)
            case StepStarted(step) | StepProgress(step) | HostReport(step=step):
                self.begun = self.begun or (bool(self.commit) and step in self.steps)
            case event if isinstance(event, END):
                self.end, self.ended = self.end or event, self.ended or entry.at


class Teller:
    """Tells GitHub from a thread of its own; `page` gives the address of an operation's log."""

    def __init__(
        self,
        store: Store,
        github: Deployments,
        pen: Pen,
        page: Callable[[Operation], str] = lambda _: "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store, self.github, self.pen, self.page, self.clock = store, github, pen, page, clock
        self._again = float("-inf")
        self.tales: dict[str, Tale] = {}
        self._newest = -1
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="github-tell", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let what is being said come to its end, if it does so soon."""
        self._stopping.set()
        self._thread.join(3.0)
        self.pen.drop()

    def _run(self) -> None:
        while not self._stopping.wait(LOOK):
            try:
                if self.pen.hold():
                    self.turn()
                else:
                    self.tales.clear()
                    self._newest = -1
            except Exception:
                log.exception("reading the log for GitHub")

    def turn(self) -> None:
        """Read what is new, and tell what is due."""
        newest, now = self.store.newest_entry(), self.clock()
        # On Postgres an entry may come after one with a higher number.
        if newest != self._newest or now >= self._again:
            self._read()
            self._newest, self._again = newest, now + AGAIN
        for id, tale in list(self.tales.items()):
            if self._stopping.is_set():
                return
            if tale.due <= self.clock():
                self._tell(tale)
            stale = tale.end is not None and self.store.now() - tale.ended > NEWS
            if tale.note.get("finished") or stale:
                del self.tales[id]

    def _read(self) -> None:
        for operation in self.store.untold(KIND, COMMANDS, self.store.now() - NEWS):
            if operation.id not in self.tales:
                note = self.store.note(KIND, operation.id)
                self.tales[operation.id] = Tale(operation, note)
            tale = self.tales[operation.id]
            while entries := self.store.entries(operation.id, tale.read, PAGE):
                for entry in entries:
                    tale.hear(entry)

    def _tell(self, tale: Tale) -> None:
        try:
            self._bring(tale)
            tale.tries, tale.due = 0, 0.0
        except BotError as error:
            wait = min(MOST, FIRST * 2**tale.tries)
            tale.tries, tale.due = tale.tries + 1, self.clock() + wait
            log.warning("#%s: %s; again in %.0f s", tale.operation.number, mask(error.text), wait)
        except Exception:
            tale.tries, tale.due = tale.tries + 1, self.clock() + MOST
            log.exception("bug while telling GitHub of #%s", tale.operation.number)

    def _bring(self, tale: Tale) -> None:
        """Bring GitHub up to the log: a deployment once it has begun, and each of its states."""
        if not tale.begun:
            if tale.end is not None:
                self._keep(tale, finished=True)  # nothing went out, so there is nothing to tell
            return
        if not tale.note.get("deployment"):
            self._make(tale)
        if not tale.note.get("state"):
            self._say(tale, "in_progress", tale.title)
        if tale.end is not None:
            state = "success" if isinstance(tale.end, Done) else "failure"
            self._say(tale, state, words.say(tale.end))
            self._keep(tale, finished=True)

    def _make(self, tale: Tale) -> None:
        mine = tale.operation
        made: Deployment | None = None
        if tale.note.get("making"):  # it may be there: we ended, or its answer was lost
            made = self.github.deployment(mine.id, mine.environment, tale.commit)
        if made is None:
            self._keep(tale, making=True)
            told = f"#{mine.number} {mine.line}, by {mine.person}"
            made = self.github.deploy(mine.id, mine.environment, tale.commit, mine.command, told)
        self._keep(tale, deployment=made.id)

    def _say(self, tale: Tale, state: str, text: str) -> None:
        mine = tale.operation
        there = Deployment(tale.note["deployment"], mine.id, mine.environment, tale.commit)
        if tale.note.get("saying") != state or state not in self.github.states(there):
            self._keep(tale, saying=state)
            self.github.tell(there, state, text, self.page(mine))
        self._keep(tale, state=state)

    def _keep(self, tale: Tale, **more: Any) -> None:
        tale.note.update(more)
        self.store.keep_note(KIND, tale.operation.id, tale.note)
