"""Who has a shell open in Slack, and the lines that they type in it.

A line is an entry in the log of the shell's operation: whoever hears it needs no way to a host, and
the worker that holds the shell needs no Slack. It may hold a secret that the host alone can tell:
what was typed is sealed beside an empty entry, and written down as the host has masked it.
"""

from __future__ import annotations

import hashlib

import sqlalchemy as sa

from bot import masking
from bot.errors import Refused
from bot.events import Typed
from bot.operations import Operation
from bot.store import Store

NOTE = "session"
LONGEST = 8000  # characters of one message
EXIT = ("exit", "exit()", "quit", "quit()")


class Sessions:
    """The open shells: a note beside the operation says that one is."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def open(self, operation: Operation) -> None:
        self._store.keep_note(NOTE, operation.id, {"open": True})

    def close(self, operation: Operation) -> None:
        self._store.keep_note(NOTE, operation.id, {"open": False})

    def of(self, person: str) -> Operation | None:
        """Return the shell that a person has open in Slack."""
        for operation in self._store.live():
            mine = operation.person == person and operation.front == "slack"
            shell = operation.command == "shell" and operation.state == "running"
            if mine and shell and self._store.note(NOTE, operation.id).get("open"):
                return operation
        return None

    def type(self, operation: Operation, key: str, text: str) -> None:
        """Append a line that its person typed; once for each key. Raises Refused."""
        if len(text) > LONGEST:
            raise Refused(f"that is {len(text)} characters long; a shell takes {LONGEST} at most")
        text = unfenced(text)
        if masking.mask(text) != text:
            raise Refused("that line holds a secret of Packlead's own: the shell did not get it")
        place = _place(operation.id, key)

        def work(c: sa.Connection) -> None:
            if self._store.add(c, operation.id, key, Typed(operation.person, "")):
                self._store.sealed.put(c, place, text)

        self._store.transact(work)
        if text.lower() in EXIT:
            self.close(operation)

    def typed(self, operation: Operation, after: int) -> tuple[int, list[str]]:
        """Take what was typed after an entry of the log; return the number to go on from, too."""
        found: list[str] = []
        while page := self._store.entries(operation.id, after):
            after = page[-1].number
            for entry in page:
                if isinstance(entry.event, Typed) and not entry.event.text:
                    place = _place(operation.id, entry.key)
                    if (text := self._store.sealed.open(place)) is not None:
                        found.append(text)
                        self._store.sealed.forget(place)
        return after, found


def _place(operation: str, key: str) -> str:
    """Return under which name a line is sealed."""
    return f"typed:{hashlib.sha256(f'{operation} {key}'.encode()).hexdigest()}"


def unfenced(text: str) -> str:
    """Return code without the marks that Slack shows code by."""
    text = text.replace("\0", "").encode(errors="replace").decode().strip("\n")
    for fence in ("```", "`"):
        inside = text.strip()
        if len(inside) > 2 * len(fence) and inside.startswith(fence) and inside.endswith(fence):
            return inside[len(fence) : -len(fence)].strip("\n")
    return text
