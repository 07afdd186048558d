"""What an operation tells while it works: small frozen records, appended to its log.

The log is the one truth; audiences only read it. `encode` and `decode` carry a record through the
database. A record that an older or newer version wrote and this one does not know becomes a `Note`.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")


@dataclass(frozen=True)
class Event:
    """Base of everything an operation tells."""


@dataclass(frozen=True)
class Accepted(Event):
    """A request became an operation."""

    line: str
    person: str
    front: str
    behind: str = ""  # id of the operation it waits for


@dataclass(frozen=True)
class Step:
    """One line of a plan, and one task of the card: `id` is used by the Step events."""

    id: str
    title: str


@dataclass(frozen=True)
class Planned(Event):
    """What will be done, before anything is: everything later follows it."""

    title: str
    lines: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    hosts: tuple[str, ...] = ()
    commit: str = ""
    seconds: float | None = None  # estimate, from earlier operations of the kind


@dataclass(frozen=True)
class StepStarted(Event):
    """A step of the plan began."""

    step: str
    detail: str = ""


@dataclass(frozen=True)
class StepProgress(Event):
    """A step goes on: `done` of `total`, and what it does now."""

    step: str
    detail: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class StepEnded(Event):
    """A step ended: state is done, failed, skipped or cancelled."""

    step: str
    state: str = "done"
    detail: str = ""


@dataclass(frozen=True)
class HostReport(Event):
    """One host reached a point that is worth a line in the thread."""

    host: str
    text: str
    step: str = ""
    ok: bool = True


@dataclass(frozen=True)
class Output(Event):
    """What a task printed on a host. Only a failed one reaches the thread, by its tail."""

    host: str
    task: str
    text: str
    ok: bool = True


@dataclass(frozen=True)
class Note(Event):
    """A sentence for the thread."""

    text: str


@dataclass(frozen=True)
class Called(Event):
    """A sentence that ends in people who should notice it, by their names in the config."""

    text: str
    people: tuple[str, ...]


@dataclass(frozen=True)
class Answered(Event):
    """The answer of a command that only looks: lines of text, fixed width where `table` is set."""

    lines: tuple[str, ...]
    table: bool = False


@dataclass(frozen=True)
class Question(Event):
    """Asks before something is done; `token` stands for exactly what it is about."""

    text: str
    token: str
    about: tuple[str, ...] = ()
    second: bool = False  # whether it needs somebody else than who asked
    approvers: tuple[str, ...] = ()  # who that may be: names, and ids of user groups
    until: float = 0.0  # Unix seconds


@dataclass(frozen=True)
class Opened(Event):
    """A shell is there for the person who asked for it."""

    host: str
    address: str
    text: str


@dataclass(frozen=True)
class Typed(Event):
    """A line that somebody typed in a shell, without secrets; "" on its way to the host."""

    person: str
    text: str


@dataclass(frozen=True)
class Printed(Event):
    """What a program prints on a host, as it comes; the log keeps it."""

    host: str
    text: str


@dataclass(frozen=True)
class Shown(Event):
    """The end of what was printed, for the thread: of `lines` lines, `lost` characters not kept."""

    text: str
    lines: int = 0
    lost: int = 0
    note: str = ""


@dataclass(frozen=True)
class Done(Event):
    """The operation ended well."""

    text: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stopped(Event):
    """It ended otherwise: reason is misunderstood, refused, busy, failed, interrupted or bug."""

    text: str
    hint: str = ""
    reason: str = "failed"


@dataclass(frozen=True)
class WasCancelled(Event):
    """It ended because somebody said stop."""

    by: str
    where: str = ""


Progress = Generator[Event, None, T]
END: tuple[type[Event], ...] = (Done, Stopped, WasCancelled, Answered)
LAST: tuple[type[Event], ...] = (*END, Question)  # what a command says last

_KINDS: dict[str, TypeAdapter[Any]] = {
    kind.__name__: TypeAdapter(kind)
    for kind in (
        Accepted, Planned, StepStarted, StepProgress, StepEnded, HostReport, Output, Note, Answered,
        Question, Done, Stopped, WasCancelled, Opened, Typed, Printed, Shown,
        Called,
    )
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One event as it stands in the log. `number` grows over all operations; `at`: Unix seconds."""

    number: int
    operation: str
    key: str
    at: float
    event: Event = field(repr=False)


def encode(event: Event) -> tuple[str, dict[str, Any]]:
    """Return the kind and the JSON-ready fields of an event."""
    kind = type(event).__name__
    return kind, _KINDS[kind].dump_python(event, mode="json")


def decode(kind: str, data: dict[str, Any]) -> Event:
    """Return the event that `encode` took apart."""
    try:
        event: Event = _KINDS[kind].validate_python(data)
    except (KeyError, ValidationError):
        return Note(f"({kind}: written by another version of Packlead)")
    return event
