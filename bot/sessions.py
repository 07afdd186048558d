"""Who has a shell open in Slack, and the lines that they type in it.

A line is an entry in the log of the shell's operation: whoever hears it needs no way to a host, and
the worker that holds the shell needs no Slack.
"""

from __future__ import annotations

import sqlalchemy as sa

from bot import masking
from bot.errors import Refused
from bot.events import Typed
from bot.operations import Operation
from bot.schema import events
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
        self._store.append(operation.id, key, Typed(operation.person, text))
        if text.lower() in EXIT:
            self.close(operation)

    def hide(self, operation: Operation, said: str, masked: str) -> None:
        """Take a secret that only the host could know out of a line that was typed."""

        def work(c: sa.Connection) -> None:
            typed = (events.c.operation == operation.id) & (events.c.kind == Typed.__name__)
            for row in c.execute(sa.select(events).where(typed)).all():
                if row.data["text"] == said:
                    kept = events.update().where(events.c.number == row.number)
                    c.execute(kept.values(data={**row.data, "text": masked}))

        self._store.transact(work)

    def typed(self, operation: Operation, after: int) -> tuple[int, list[str]]:
        """Return what was typed after an entry of the log, and the number to go on from."""
        found: list[str] = []
        while page := self._store.entries(operation.id, after):
            after = page[-1].number
            found += [e.event.text for e in page if isinstance(e.event, Typed)]
        return after, found


def unfenced(text: str) -> str:
    """Return code without the marks that Slack shows code by."""
    text = text.replace("\0", "").encode(errors="replace").decode().strip("\n")
    for fence in ("```", "`"):
        inside = text.strip()
        if len(inside) > 2 * len(fence) and inside.startswith(fence) and inside.endswith(fence):
            return inside[len(fence) : -len(fence)].strip("\n")
    return text
