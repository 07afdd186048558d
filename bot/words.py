"""One plain sentence for every event, the same for every audience."""

from __future__ import annotations

from bot.events import (
    Accepted,
    Answered,
    Called,
    Done,
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
    Typed,
    WasCancelled,
)
from bot.store import Lock

TAIL = 20  # lines of output that reach a thread


def say(event: Event) -> str:
    """Return what an event says, in one sentence without markup."""
    match event:
        case Accepted(line, person, _, behind):
            return f"{person} asks: {line}" + (f", after {behind}" if behind else "")
        case Planned(title):
            return title
        case StepStarted(step, detail) | StepProgress(step, detail):
            return f"{step}: {detail}" if detail else step
        case StepEnded(step, state, detail):
            return f"{step} {state}" + (f": {detail}" if detail else "")
        case HostReport(host, text):
            return f"{host} {text}"
        case Output(host, task, text, ok):
            return (
                f"{host}: {task}" + ("" if ok else " did not work") + (f"\n{text}" if text else "")
            )
        case Note(text) | Opened(_, _, text):
            return text
        case Called(text, people):
            return f"{text} {listed(people)}"
        case Printed(_, text):
            return text.rstrip("\n")
        case Typed(person, text):
            return f"{person} types: {text}" if text else ""
        case Shown():
            return "\n".join(part for part in (shown(event), *shown_about(event)) if part)
        case Answered(said):
            return "\n".join(said)
        case Question(text):
            return text
        case Done(text):
            return text
        case Stopped(text, _, "bug"):
            return f"this is a bug of Packlead: {text}"
        case Stopped(text):
            return text
        case WasCancelled(by, where):
            return f"cancelled by {by}" + (f", {where}" if where else "")
    return type(event).__name__


def lines(event: Event) -> tuple[str, ...]:
    """Return all that an event says: the sentence, then what stands below it."""
    match event:
        case Planned():
            return (event.title, *event.lines)
        case Done():
            return (event.text, *event.lines)
        case Stopped() if event.hint:
            return (say(event), *event.hint.splitlines())
        case _:
            return tuple(say(event).splitlines())


def tail(text: str, count: int = TAIL) -> str:
    """Return the last lines of an output, saying how many came before."""
    all_lines = text.rstrip().splitlines()
    if len(all_lines) <= count:
        return "\n".join(all_lines)
    return "\n".join([f"… {len(all_lines) - count} lines before", *all_lines[-count:]])


def shown(event: Shown) -> str:
    """Return the last lines of what was printed, saying how many came before."""
    known = event.text.splitlines()
    before = max(event.lines, len(known)) - min(len(known), TAIL)
    head = [f"… {count(before, 'line')} before: the log has them"] if before else []
    return "\n".join([*head, *known[-TAIL:]]).rstrip()


def shown_about(event: Shown) -> list[str]:
    """Return what is to be said about what was printed."""
    told = [] if event.text.strip() else ["it printed nothing"]
    if event.lost:
        told.append(f"{event.lost} characters more were printed, which nobody kept")
    return [*told, *([event.note] if event.note else [])]


def duration(seconds: float) -> str:
    """Return 42 s, 3 min 2 s, 2 h 5 min or 3 d 4 h; 0 s where a clock was set back meanwhile."""
    whole = max(0, round(seconds))
    for size, unit, small, small_unit in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // small
            return f"{whole // size} {unit}" + (f" {rest} {small_unit}" if rest else "")
    return f"{whole} s"


def lock_line(lock: Lock, now: float) -> str:
    """Return who keeps an environment, since when, what for and until when."""
    until = f" and for {duration(lock.until - now)} more" if lock.until else ""
    if now - lock.since < 10:
        left = f" for {duration(lock.until - now)}" if lock.until else ""
        return f"{lock.person} keeps {lock.environment} from now on{left}: {lock.reason}"
    since = duration(now - lock.since)
    return f"{lock.person} has kept {lock.environment} for {since}{until}: {lock.reason}"


def count(number: int, noun: str, plural: str = "") -> str:
    """Return 1 host, 3 hosts."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def listed(names: list[str] | tuple[str, ...], most: int = 15) -> str:
    """Return a, b and c, and how many more there are."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
