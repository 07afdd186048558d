"""A message is marked as a repeat only where the first one may really be there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from bot.config import Config
from bot.fronts.poster import KIND, Desk, Poster
from bot.fronts.slack_send import Away, Lost
from bot.store import Store

LOCKED = OperationalError("UPDATE notes", {}, Exception("database is locked"))


class Web:
    """A Slack that can be asked whether it is there."""

    async def call(self, method: str, **_: Any) -> dict[str, Any]:
        assert method == "auth.test"
        return {"ok": True}


def test_a_note_that_could_not_be_kept_makes_no_repeat(config: Config, store: Store):
    """Nothing was sent yet. An answer that is lost afterwards makes one, as ever."""
    locked, sent = [True], list[bool]()

    async def database(work: Callable[..., Any], *given: Any) -> Any:
        if locked.pop() if locked else False:
            raise LOCKED
        return work(*given)

    async def send(again: bool) -> dict[str, Any]:
        sent.append(again)
        if len(sent) == 1:
            raise Lost("chat.postMessage: ServerDisconnectedError")
        return {"ts": "1.0"}

    async def told() -> dict[str, Any]:
        desk = Desk(Web(), store, config, (), database)  # type: ignore[arg-type]
        poster = Poster("op", {}, desk)
        with pytest.raises(OperationalError):
            await poster.once("card", send)
        assert (poster.note, sent) == ({}, [])
        with pytest.raises(Lost):
            await poster.once("card", send)
        assert store.note(KIND, "op")["sending"] == "card"
        return await poster.once("card", send)

    assert asyncio.run(told()) == {"ts": "1.0", "again": True}
    assert sent == [False, True]


def test_where_slack_takes_no_messages_it_is_repeated_ever_more_seldom(
    config: Config, store: Store
):
    """As in an incident in which it answers everything else."""
    now, sent = [1000.0], list[float]()

    async def database(work: Callable[..., Any], *given: Any) -> Any:
        return work(*given)

    async def send(again: bool) -> dict[str, Any]:
        sent.append(now[0])
        raise Lost("chat.postMessage: internal_error")

    async def told() -> dict[str, Any]:
        desk = Desk(Web(), store, config, (), database, lambda: now[0])  # type: ignore[arg-type]
        poster = Poster("op", {}, desk)
        while True:
            try:
                return await poster.once("card", send)
            except Lost:
                now[0] += 1
            except Away as away:
                now[0] += away.seconds

    assert asyncio.run(told()) == {}, "some day it is left"
    pauses = [round(after - before) for before, after in pairwise(sent)]
    assert pauses == [1, 1, 1, 1, 60, 120, 240, 480, 960]
