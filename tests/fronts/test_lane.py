"""The lane to the dispatcher: nobody who asks is forgotten in it."""

from __future__ import annotations

import asyncio

from bot.dispatcher import Reply
from bot.fronts.slack_lane import Lane
from tests.waiting import PATIENCE


def test_whoever_asks_in_the_moment_in_which_it_has_become_empty_is_answered():
    async def asks() -> list[str]:
        lane = Lane()
        # The next one is asked as soon as the one before has its answer, before anything else.
        said = [(await lane.ask(lambda: Reply("yes", ok=True))).text for _ in range(3)]
        await lane.drain(0)
        return said

    assert asyncio.run(asyncio.wait_for(asks(), PATIENCE)) == ["yes"] * 3
