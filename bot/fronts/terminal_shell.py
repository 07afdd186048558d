"""The application's shell in this terminal: asked for as anything else, told, and then one's own.

While it is open, a note beside its operation says every few seconds that this terminal lives: the
worker, which holds the operation, ends it when that stops.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shlex
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.text import Text

from bot.dispatcher import Dispatcher, Request
from bot.events import Accepted, Done, Entry, Opened, Question, Stopped, WasCancelled
from bot.far import TERMINAL
from bot.fronts.terminal import Show
from bot.people import Who
from bot.store import Store
from bot.words import listed

POLL = 0.1
BEAT = 3.0


def run(
    environment: str,
    reason: str,
    words: Callable[[str, str], list[str]],
    dispatcher: Dispatcher,
    store: Store,
    work: Callable[[], bool],
) -> int:
    """Open a shell and hold it; returns the shell's exit status, 1 where there was none.

    `work` makes sure that somebody works on the operation; `words` is the command line that opens
    the terminal, of a host's name and address.
    """
    console, errors = Console(highlight=False), Console(stderr=True, highlight=False)
    if not sys.stdin.isatty():
        errors.print("a shell needs a terminal; for one command: packlead run run ENV -- COMMAND")
        return 1
    try:
        reason = reason or console.input("what for? ").strip()
    except (EOFError, KeyboardInterrupt):
        reason = ""
    who = Who("terminal", pwd.getpwuid(os.getuid()).pw_name)
    line = shlex.join(["shell", environment, *([reason] if reason else [])])
    reply = dispatcher.ask(Request(f"terminal:{uuid.uuid4()}", line, who, {"kind": "terminal"}))
    if not reply.operation:
        (console if reply.ok else errors).print(Text(reply.text), soft_wrap=True)
        return 1
    work()
    status, id = 1, reply.operation
    show = Show(console)
    try:
        for entry in _log(store, id):
            if isinstance(entry.event, Opened):
                show.stop()
                status = _hold(store, entry.operation, words(entry.event.host, entry.event.address))
            elif not isinstance(entry.event, Accepted):
                show.event(entry.event)
            if isinstance(entry.event, Question):
                number = getattr(store.get(entry.operation), "number", "")
                who_may = listed(entry.event.approvers) or "you"
                yes = f"waits for a yes of {who_may}: approve {number} {entry.event.token}"
                console.print(Text(yes), soft_wrap=True)
            if isinstance(entry.event, (Stopped, WasCancelled)):
                return status or 1
        return status
    except KeyboardInterrupt:
        number = getattr(store.get(id), "number", "")
        dispatcher.ask(Request(f"terminal:{uuid.uuid4()}", f"cancel {number}", who))
        errors.print(f"#{number} is not waited for any more")
        return 1
    finally:
        show.stop()


def _log(store: Store, id: str) -> Iterator[Entry]:
    """Yield the entries of an operation as they come, and of the one that it became by a yes."""
    last = 0
    while True:
        entries = store.entries(id, last)
        for entry in entries:
            last = entry.number
            yield entry
            if entry.key == "end":
                asked = store.get(id)
                again = store.get(f"yes:{asked.number}") if asked else None
                if not isinstance(entry.event, Done) or again is None:
                    return
                id, last = again.id, 0
                break
        if not entries:
            time.sleep(POLL)


def _hold(store: Store, id: str, words: list[str]) -> int:
    """Give this terminal to the shell until it ends, or until its operation has."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the shell
    ended = threading.Event()
    child = subprocess.Popen(words, preexec_fn=_as_usual)
    beating = threading.Thread(target=_beat, args=(store, id, child, ended), daemon=True)
    beating.start()
    try:
        status = child.wait()
    finally:
        ended.set()
        beating.join(10.0)
        signal.signal(signal.SIGINT, before)
        with contextlib.suppress(Exception):  # the worker notices by itself that we are gone
            store.keep_note(TERMINAL, id, {"ended": status})
    return status


def _beat(store: Store, id: str, child: subprocess.Popen[bytes], ended: threading.Event) -> None:
    while True:
        with contextlib.suppress(Exception):  # the database may be away for a moment
            store.keep_note(TERMINAL, id, {"beat": time.time()})
            operation = store.get(id)
            if operation and not operation.live and child.poll() is None:
                child.terminate()
        if ended.wait(BEAT):
            return


def _as_usual() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
