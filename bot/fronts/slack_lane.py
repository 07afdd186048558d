"""A lane to the dispatcher: many requests at one instant are asked a few at a time, in their order.

One thread that writes is quicker with SQLite than several that wait for each other's lock, and a
few requests for each visit of that thread are quicker than one: fewer changes between threads.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from bot.dispatcher import Reply

VISIT = 16  # requests for each visit of the thread
LONG = 0.1  # seconds: after this the answers so far are taken back
TOO_LATE = 2.0  # seconds: Slack gives up after 3, and then nothing may have been begun

CLOSED = Reply("Packlead is just starting again: nothing was accepted\nsay it again", ok=False)

Ask = Callable[[], Reply]
Place = tuple[Ask, float, "asyncio.Future[Reply]"]


class Lane:
    """Runs what it is given in threads; `waiting` is how many are not answered yet."""

    def __init__(self, threads: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self.waiting, self.clock, self.threads = 0, clock, threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="slack-ask")
        self._closed = False
        self._queue: deque[Place] = deque()
        self._visits: set[asyncio.Task[None] | None] = set()

    async def ask(self, work: Ask) -> Reply:
        """Return what `work` answers; it is not begun where it would come too late."""
        if self._closed:
            return CLOSED
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._queue.append((work, self.clock(), answer))
        self.waiting += 1
        if len(self._visits) < self.threads:
            visit = asyncio.create_task(self._visit())
            self._visits.add(visit)
        try:
            return await answer
        finally:
            self.waiting -= 1

    async def drain(self, seconds: float) -> None:
        """Wait until all have their answer; what has not begun by then never does, and is told."""
        until = self.clock() + seconds
        while self.waiting and self.clock() < until:
            await asyncio.sleep(0.01)
        self._closed = True
        self._turn_away(self._queue)
        self._queue.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _visit(self) -> None:
        try:
            await self._serve()
        finally:  # in the same moment in which the queue was empty: whoever comes next begins one
            self._visits.discard(asyncio.current_task())

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while self._queue:
            share = max(1, VISIT // self.threads)
            places = [self._queue.popleft() for _ in range(min(share, len(self._queue)))]
            try:
                replies = await loop.run_in_executor(self._pool, partial(self._work, places))
            except (asyncio.CancelledError, RuntimeError):  # closed, and these had not begun
                self._turn_away(places)
                raise
            self._queue.extendleft(reversed(places[len(replies) :]))
            for (_, _, future), reply in zip(places, replies, strict=False):
                if future.done():
                    continue
                if isinstance(reply, Exception):
                    future.set_exception(reply)
                else:
                    future.set_result(reply)

    def _turn_away(self, places: Iterable[Place]) -> None:
        for _, _, answer in places:
            if not answer.done():
                answer.set_result(CLOSED)

    def _work(self, places: list[Place]) -> list[Reply | Exception]:
        began, replies = self.clock(), list[Reply | Exception]()
        for work, since, _ in places:
            if self.clock() - since > TOO_LATE:
                # The person is told that it did not work: then it must not happen later.
                said = "too much is asked at once: nothing was accepted\nsay it again"
                replies.append(Reply(said, ok=False))
            else:
                try:
                    replies.append(work())
                except Exception as error:  # it goes to whoever asked; the others have theirs
                    replies.append(error)
            if self.clock() - began > LONG:
                break
        return replies
