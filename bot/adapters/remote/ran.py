"""What a command on a host tells, line by line: what it prints, and how it ended."""

from __future__ import annotations

from bot import masking
from bot.adapters.records import Ran
from bot.detached import Line
from bot.events import Event, Printed

TAIL = 4000  # characters


class Story:
    """One run, as far as its lines have been read."""

    def __init__(self, host: str) -> None:
        self.host, self.tail, self.last = host, "", Line()
        self.begun = self.expired = False
        self.size = self.lines = 0

    def read(self, line: Line) -> list[Event]:
        """Return what a line tells."""
        self.begun = self.begun or "begun" in line
        self.expired = self.expired or "expired" in line
        if "code" in line:
            self.last = line
        if not (text := clean(str(line.get("text", "")))):
            return []
        self.size += len(text)
        self.lines += text.count("\n")
        self.tail = (self.tail + text)[-TAIL:]
        return [Printed(self.host, text)]

    def end(self, code: int, said: str) -> Ran:
        """Return how it ended; `code` is that of the connection, `said` what ssh told."""
        lost = int(self.last.get("lost", 0))
        tail = clean(str(self.last["tail"]))[-TAIL:] if lost else self.tail
        if "error" in self.last:
            return Ran("unreachable", detail=clean(str(self.last["error"])))
        if self.expired:
            return Ran("expired", tail=tail, lines=self.lines, lost=lost)
        if "code" in self.last:
            ended = self.last["code"]
            return Ran("ended", int(ended), tail, self.lines, lost)
        how = "dropped" if self.begun else "unreachable"
        return Ran(how, code, tail, self.lines, lost, masking.mask(said))


def clean(text: str) -> str:
    """Take out the bot's own secrets, and what a database cannot keep."""
    return masking.mask(text).replace("\0", "")
