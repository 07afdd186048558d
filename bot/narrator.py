"""Walks a command from yield to yield: each event is told, a cancel is heard, the end is found."""

from __future__ import annotations

from typing import Any, Protocol

from bot.errors import BotError, Busy, Cancelled, Misunderstood, Refused
from bot.events import LAST, Done, Event, StepProgress, StepStarted
from bot.job import Job


class Stoppable(Protocol):
    stopped: bool  # whether a cancel was heard already


class Where:
    """Where an operation stands, in the words of the last step that it told."""

    text = ""

    def hear(self, event: Event) -> None:
        if isinstance(event, StepStarted | StepProgress):
            self.text = f"during {event.step}" + (f", {event.detail}" if event.detail else "")


def narrate(job: Job, command: Any, steps: Stoppable, where: Where) -> Event:
    """Walk a command from yield to yield; at each one its event is told and a cancel is heard."""
    last: Event = Done(f"{job.operation.line}: done")
    stop: Cancelled | None = None
    while True:
        try:
            event = command.throw(stop) if stop else next(command)
        except StopIteration:
            return last
        stop = None
        where.hear(event)
        if isinstance(event, LAST):
            last = event
            continue
        if (by := job.tell(event)) and not steps.stopped:
            steps.stopped, stop = True, Cancelled(by)


def reason(error: BotError) -> str:
    return {Misunderstood: "misunderstood", Refused: "refused", Busy: "busy"}.get(
        type(error), "failed"
    )
