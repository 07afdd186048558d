"""The lane to the dispatcher: nobody who asks is forgotten in it."""

from __future__ import annotations

import asyncio
import threading

from bot.dispatcher import Reply
from bot.fronts.slack_lane import CLOSED, Lane
from tests.waiting import PATIENCE


def test_whoever_asks_in_the_moment_in_which_it_has_become_empty_is_answered():
    async def asks() -> list[str]:
        lane = Lane()
        # The next one is asked as soon as the one before has its answer, before anything else.
        return [(await lane.ask(lambda: Reply("yes", ok=True))).text for _ in range(3)]

    assert asyncio.run(asyncio.wait_for(asks(), PATIENCE)) == ["yes"] * 3


def test_whoever_asks_while_it_closes_hears_that_nothing_was_accepted():
    async def asks() -> list[str]:
        lane, busy, goes_on = Lane(), threading.Event(), threading.Event()

        def work() -> Reply:
            busy.set()
            goes_on.wait(PATIENCE)
            return Reply("yes", ok=True)

        begun = asyncio.create_task(lane.ask(work))
        await asyncio.to_thread(busy.wait, PATIENCE)
        waits = asyncio.create_task(lane.ask(work))
        await asyncio.sleep(0)
        await lane.drain(0)
        late = await lane.ask(work)
        goes_on.set()
        return [reply.text for reply in (await begun, await waits, late)]

    assert asyncio.run(asyncio.wait_for(asks(), PATIENCE)) == ["yes", CLOSED.text, CLOSED.text]
