"""What an operation's log comes to: the state of its card, and the lines of its thread.

A Story is made by adding entries; it knows nothing of Slack. The same entries make the same story,
so an audience that starts again has lost nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bot import words
from bot.events import (
    END,
    Accepted,
    Answered,
    Called,
    Done,
    Entry,
    Event,
    HostReport,
    Note,
    Opened,
    Output,
    Planned,
    Printed,
    Question,
    Shown,
    StepEnded,
    StepProgress,
    StepStarted,
    Stopped,
    WasCancelled,
)
from bot.operations import PUSHES
from bot.store import Operation

OUTPUTS = 8  # failed outputs that reach one thread; the log has them all
UNASKED = ("clock", *PUSHES)  # fronts where nobody waits for an answer
GRAVE = ("failed", "interrupted", "bug")


@dataclass
class Task:
    """One step of the plan: state is pending, running, done, failed, skipped or cancelled."""

    id: str
    title: str
    state: str = "pending"
    detail: str = ""
    done: int = 0
    total: int = 0
    began: float = 0.0
    ended: float = 0.0


@dataclass(frozen=True)
class Line:
    """One thing for the thread: kind is plan, host, output, note, answer or end."""

    number: int  # of the log entry
    kind: str
    event: Event


@dataclass
class Story:
    """An operation as far as its log has been read."""

    operation: Operation
    last: int = 0  # number of the newest entry that was read
    turn: int = 0  # changes with its state, and so with its buttons
    behind: str = ""
    plan: Planned | None = None
    tasks: dict[str, Task] = field(default_factory=dict)
    began: float = 0.0
    ended: float = 0.0
    question: Question | None = None
    end: Event | None = None
    open: bool = False  # something happened that everybody should see
    detail: str = ""
    tail: Output | None = None  # the last output of a task that did not work
    lines: list[Line] = field(default_factory=list)
    outputs: int = 0

    def add(self, entry: Entry) -> None:
        """Take one more entry of the log, in their order."""
        if entry.number <= self.last:
            return
        self.last = entry.number
        event, at = entry.event, entry.at
        match event:
            case Accepted():
                self.behind, self.turn = event.behind, entry.number
                self.open = bool(event.behind)
            case Planned():
                self.plan, self.open, self.turn = event, True, entry.number
                self.began = self.began or at
                self.tasks = {s.id: Task(s.id, s.title) for s in event.steps}
                if event.lines or event.steps or self.operation.parent:
                    self._line(entry, "plan")  # else the card has said all of it
            case StepStarted():
                self._progress(event.step, at, event.detail)
            case StepProgress():
                task = self._progress(event.step, at, event.detail)
                task.done, task.total = event.done, event.total
            case StepEnded():
                task = self._task(event.step)
                task.state, task.ended = event.state, at
                task.began = task.began or at
                task.detail = event.detail or ("" if event.state == "done" else task.detail)
            case HostReport():
                self.open = True
                self._line(entry, "host")
            case Output(ok=False):
                self.tail = event
                self.outputs += 1
                if self.outputs <= OUTPUTS:
                    self._line(entry, "output")
            case Note() | Opened() | Called():
                self._line(entry, "note")
            case Printed():
                last = event.text.strip().rpartition("\n")[2]
                if last and self.current:
                    self.current.detail = last
            case Shown():
                self._line(entry, "shown")
            case Question():
                self.question, self.open, self.turn = event, True, entry.number
            case Answered():
                self._line(entry, "answer")
            case _:
                pass
        if isinstance(event, END) and self.end is None:
            self.end, self.ended, self.turn = event, at, entry.number
            for task in self.tasks.values():
                if task.state == "running":
                    task.state, task.ended = _closed(event), at
            if words.say(event) and not isinstance(event, Answered):
                self._line(entry, "end")

    def refresh(self, operation: Operation) -> None:
        """Take the operation's row as it is now."""
        if operation.cancelled_by and not self.operation.cancelled_by:
            self.turn += 1  # the cancel button goes
        self.operation = operation
        if operation.started:
            self.began = self.began or operation.started

    @property
    def state(self) -> str:
        """waiting, running, stopping, asking, done, cancelled or failed."""
        match self.end:
            case Done() | Answered():
                return "done"
            case WasCancelled():
                return "cancelled"
            case None:
                pass
            case _:
                return "failed"
        if not self.operation.live:
            return self.operation.state
        if self.question:
            return "asking"
        if self.operation.cancelled_by:
            return "stopping"
        return "running" if self.plan or self.operation.started else "waiting"

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.end is not None or not self.operation.live

    @property
    def public(self) -> bool:
        """Whether everybody sees it: it planned or did something, or it changes an environment."""
        if self.operation.front in UNASKED and isinstance(self.end, Answered | Stopped):
            return True  # nobody asked, so there is nobody else to tell
        return self.open or (isinstance(self.end, Done) and self.operation.exclusive)

    @property
    def grave(self) -> bool:
        """Whether somebody should go and look."""
        return isinstance(self.end, Stopped) and self.end.reason in GRAVE

    @property
    def current(self) -> Task | None:
        running = [t for t in self.tasks.values() if t.state == "running"]
        return running[-1] if running else None

    @property
    def title(self) -> str:
        return self.plan.title if self.plan and self.plan.title else self.operation.line

    def _line(self, entry: Entry, kind: str) -> None:
        self.lines.append(Line(entry.number, kind, entry.event))

    def _task(self, id: str) -> Task:
        return self.tasks.setdefault(id, Task(id, id))

    def _progress(self, id: str, at: float, detail: str) -> Task:
        task = self._task(id)
        task.state, task.detail = "running", detail or task.detail
        task.began = task.began or at
        self.open = True
        return task


def _closed(event: Event) -> str:
    if isinstance(event, Done | Answered):
        return "done"
    return "cancelled" if isinstance(event, WasCancelled) else "failed"
