"""How long something long may go on: until its minutes are over, or somebody says SIGTERM."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType


class Bound:
    """`over` is looked at between two strikes: what has been seen so far is told even then."""

    def __init__(self, minutes: float = 0) -> None:
        """Without minutes it ends by itself; a SIGTERM is heard in the main thread alone."""
        self._end = time.monotonic() + minutes * 60 if minutes else float("inf")
        self._said = threading.Event()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._hear)

    @property
    def told(self) -> bool:
        """Somebody said it, and perhaps to all that we have started too."""
        return self._said.is_set()

    @property
    def over(self) -> bool:
        return self._said.is_set() or time.monotonic() > self._end

    def _hear(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._said.set()
