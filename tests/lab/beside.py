"""What looks, asks or counts in a thread of its own while something else goes on."""

from __future__ import annotations

import threading
from typing import Self


class Beside:
    """Takes a turn each time that `period` seconds have passed, as long as the `with` lasts."""

    period: float

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go, name=type(self).__name__, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def turn(self) -> None:
        raise NotImplementedError

    def _go(self) -> None:
        while not self._over.wait(self.period):
            self.turn()
