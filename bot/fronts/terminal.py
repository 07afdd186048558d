"""The terminal: `packlead run "deploy prod master"`, with the same words as in Slack."""

from __future__ import annotations

import getpass
import os
import pwd
import signal
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import replace

from rich.console import Console
from rich.text import Text

from bot import leaks, words
from bot.dispatcher import Dispatcher, Request
from bot.events import (
    Accepted,
    Done,
    Event,
    HostReport,
    Output,
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
from bot.fronts.slack_text import clean
from bot.people import Who
from bot.store import Store

POLL = 0.1
MOST = 100_000  # bytes that are read of a value
UNSAID = (
    "your shell's history may keep the line: take it out there, and have that secret changed where "
    "others could read it; rotate-key KEY ENV asks for a value without echo"
)


def run(line: str, dispatcher: Dispatcher, store: Store, work: Callable[[], bool]) -> int:
    """Say one line and show how it goes; returns the exit status, 0 where it ended well.

    `work` makes sure that somebody works on what was accepted, and says whether that is this
    process: then what follows, such as an image, is waited for too. Ctrl-C asks the operation to
    stop; a second one leaves it to itself.
    """
    # Of the process itself: USER and LOGNAME say whatever somebody sets them to.
    who = Who("terminal", pwd.getpwuid(os.getuid()).pw_name)
    console, errors = Console(highlight=False), Console(stderr=True, highlight=False)
    if warning := leaks.warning(line, UNSAID):
        errors.print(Text(warning), soft_wrap=True)
        return 1
    request = Request(f"terminal:{uuid.uuid4()}", line, who, {"kind": "terminal"})
    reply = dispatcher.ask(request)
    if reply.wanted and reply.wanted.environment:
        value = typed(f"{reply.wanted.key} of {reply.wanted.environment}: ")
        reply = dispatcher.ask(replace(request, value=value))
    elif reply.wanted:
        reply = replace(reply, text=f"say for which environment: {reply.wanted.line} ENV")
    if not reply.operation:
        (console if reply.ok else errors).print(Text(reply.text), soft_wrap=True)
        return 0 if reply.ok else 1
    ours = work()
    show, key = Show(console), CtrlC()
    asked = False
    while True:
        try:
            status = follow(reply.operation, store, show, key)
            for child in store.children(reply.operation) if ours else ():
                follow(child.id, store, Show(console), key)
            return status
        except KeyboardInterrupt:
            operation = store.get(reply.operation)
            if asked or operation is None:
                number = operation.number if operation else ""
                errors.print(f"it goes on without you; cancel {number} stops it")
                return 1
            asked = True
            dispatcher.ask(Request(f"{request.id}/cancel", f"cancel {operation.number}", who))
        finally:
            show.stop()


def typed(prompt: str) -> str:
    """Return a value typed without echo, or the standard input but for one newline at its end."""
    if sys.stdin.isatty():
        return getpass.getpass(prompt)
    given = sys.stdin.buffer.read(MOST + 1).decode("utf-8", "surrogateescape")
    return given.removesuffix("\n")


class CtrlC:
    """Keeps a Ctrl-C until it is looked for: raised at once, it may come up inside a callback of
    some library, and be swallowed there. A second one before that is raised all the same."""

    def __init__(self) -> None:
        self._pressed = False
        signal.signal(signal.SIGINT, self._press)

    def look(self) -> None:
        if self._pressed:
            self._pressed = False
            raise KeyboardInterrupt

    def _press(self, *_: object) -> None:
        if self._pressed:
            raise KeyboardInterrupt
        self._pressed = True


def follow(id: str, store: Store, show: Show, key: CtrlC) -> int:
    """Show an operation's log until its end."""
    while True:
        key.look()
        entries = store.entries(id, show.number)
        for entry in entries:
            show.number = entry.number
            show.event(entry.event)
            if isinstance(entry.event, Question):
                number = getattr(store.get(id), "number", "")
                yes = f'yes is: packlead run "approve {number} {entry.event.token}"'
                show.console.print(Text(yes), soft_wrap=True)
                return 1
            if entry.key == "end":
                return 1 if isinstance(entry.event, Stopped | WasCancelled) else 0
        if not entries:
            time.sleep(POLL)


class Show:
    """Prints events as they come; on a terminal with a line below that says what is being done."""

    def __init__(self, console: Console) -> None:
        self.console, self.number = console, 0
        self.status = console.status("") if sys.stdout.isatty() else None

    def event(self, event: Event) -> None:
        match event:
            case Accepted():
                return
            case StepStarted() | StepProgress():
                if self.status:
                    self.status.update(Text(words.say(event)))
                    self.status.start()
                elif isinstance(event, StepStarted):
                    self._line(words.say(event))
            case Output(ok=True) | Typed():
                return
            case Printed(_, text):
                if self.status:
                    self.status.stop()
                self.console.print(Text(clean(text)), soft_wrap=True, end="")
            case Shown():
                for line in words.shown_about(event):
                    self._line(line)
            case Output(_, _, text):
                self._line(words.say(event).splitlines()[0], "red")
                self._line(words.tail(text), "dim")
            case _:
                style = _style(event)
                for place, line in enumerate(words.lines(event)):
                    self._line(line, style if place == 0 else "")

    def _line(self, text: str, style: str = "") -> None:
        # Not wrapped: a terminal does that, and a pipe wants the line whole.
        self.console.print(Text(text, style=style), soft_wrap=True)

    def stop(self) -> None:
        if self.status:
            self.status.stop()


def _style(event: Event) -> str:
    match event:
        case Done():
            return "bold green"
        case Stopped() | WasCancelled() | StepEnded(_, "failed") | HostReport(ok=False):
            return "bold red"
        case StepEnded() | HostReport():
            return "green"
        case _:
            return ""
