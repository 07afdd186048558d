"""How other parts of the lab follow AWS: they hear of calls in order, and look on unseen."""

from __future__ import annotations

import queue
import threading
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.lab.aws.health import Truth
from tests.lab.aws.proxy import PEEK

if TYPE_CHECKING:
    from tests.lab.aws.server import Aws

Callback = Callable[[str, dict[str, str], bytes], None]


class Unseen:
    """AWS for the parts that follow it: not logged, no faults, nothing hidden."""

    def __init__(self, aws: Aws, ready: Callable[[], Any]) -> None:
        self._aws, self._ready = aws, ready

    def client(self, service: str) -> Any:
        self._ready()
        return self._aws.client(service, PEEK)

    def watch(self, callback: Callback) -> None:
        self._ready()
        self._aws.watch(callback)

    @property
    def health(self) -> Truth | None:
        return self._aws.health

    @health.setter
    def health(self, truth: Truth | None) -> None:
        self._aws.health = truth


class Watcher:
    """One subscriber and its thread."""

    def __init__(self, callback: Callback) -> None:
        self.callback = callback
        self.queue: queue.SimpleQueue[tuple[str, dict[str, str], bytes] | threading.Event | None]
        self.queue = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._follow, name="aws watcher", daemon=True)
        self.thread.start()

    def end(self) -> None:
        self.queue.put(None)
        self.thread.join(5)

    def settled(self, seconds: float) -> bool:
        mark = threading.Event()
        self.queue.put(mark)
        return mark.wait(seconds)

    def _follow(self) -> None:
        while (call := self.queue.get()) is not None:
            if isinstance(call, threading.Event):
                call.set()
                continue
            try:
                self.callback(*call)
            except Exception:
                traceback.print_exc()  # one bad call does not end the subscription
