"""The steps of one operation at work: each is done once, and its answer is remembered."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bot.audit import Unaudited
from bot.errors import BotError, Busy, Cancelled, Failed, Misunderstood, Refused
from bot.events import Note

if TYPE_CHECKING:
    from bot.engine import Engine

log = logging.getLogger(__name__)
GOES_ON = ("running", "ended")
ERRORS: dict[str, type[BotError]] = {
    e.__name__: e for e in (Misunderstood, Refused, Busy, Failed, BotError)
}


class Fenced(BaseException):
    """Let go of this operation: another worker has it, or this one is stopping and the next one
    goes on. Not an Exception, so that neither a command nor DBOS takes it for the end."""


class Remembered:
    """The steps of one operation. What a step answered, or how it failed, is kept as JSON."""

    def __init__(self, engine: Engine, id: str, holder: int) -> None:
        self.engine, self.id, self.holder, self.stopped = engine, id, holder, False

    def run(self, name: str, work: Callable[[], Any]) -> Any:
        """Do a step once, or return what it answered before."""

        def body() -> dict[str, Any]:
            self.engine.owns(self.id)
            try:
                answer = {"answer": work()}
            except Cancelled as stop:
                answer = {"cancelled": stop.by}
            except BotError as error:
                answer = {"error": type(error).__name__, "text": error.text, "hint": error.hint}
            self.engine.still_owns(self.id)  # after a long one, or a long sleep
            return answer

        kept = self.engine.step(name, body)
        if "cancelled" in kept:
            self.stopped = True
            raise Cancelled(kept["cancelled"])
        if "error" in kept:
            raise ERRORS.get(kept["error"], Failed)(kept["text"], kept["hint"])
        return kept["answer"]

    def cancelled(self) -> str:
        """Return who has said stop; once it was heard, putting things back is left in peace."""
        if self.stopped:
            return self.alive()
        self.engine.owns(self.id)
        operation = self.engine.store.get(self.id)
        return operation.cancelled_by if operation else ""

    def alive(self) -> str:
        """Return nothing, unless this worker must let go."""
        self.engine.owns(self.id)
        return ""

    def write(self, end: Callable[[], None]) -> None:
        """Write how it has ended; while the audit takes nothing it stays open, and says so."""
        while True:
            try:
                return end()
            except Unaudited as error:
                log.exception("the end of %s", self.id)
                told = Note(f"{error.text}; this stays open until it can")
                self.engine.store.append(self.id, "unaudited", told)
            self.engine.owns(self.id)
            self.engine.stopping.wait(self.engine.lease / 3)

    def take(self, place: str, look: Callable[[str], str], whole: str = "") -> tuple[int, bool]:
        """Return the turn of a play, and whether what another one left of it is to be mended first.

        `look` says of a run whether it is there: new, running, ended, expired or lost. A play that
        this machine knows goes on; else one that was begun elsewhere must be over before it begins.
        """
        engine, turns = self.engine, self.engine.store.turns
        last = turns.played(self.id)
        before = last.place == place
        if before:
            main, mend = look(f"{place}.{last.turn}"), look(f"{place}.{last.turn}-mend")
            if main in GOES_ON or (main == "lost" and engine.alone):
                return last.turn, False
            if main == "new" and mend in GOES_ON:
                return last.turn, True
            engine.wait_for_end(self.id, last.by)
        again = before and not engine.alone
        ahead = 2 if again else 1  # one to mend, one to play
        turn = turns.play(self.id, self.holder, place, engine.me, whole, ahead)
        if not turn:
            raise Fenced(self.id)
        return turn, again
