"""A database that is new, while the hosts remember an older one's numbers."""

from __future__ import annotations

import uuid

import pytest

from bot.errors import Refused
from bot.numbers import number_from
from bot.store import Store
from tests.lab.postgres import drop, make


def asked(store: Store, id: str) -> int:
    row = {"line": "status", "command": "status", "environment": "prod", "person": "ada"}
    return store.submit(id, front="terminal", **row)[0].number


def goes_on(store: Store) -> None:
    number_from(store, 1)
    number_from(store, 313)
    assert [asked(store, "a"), asked(store, "b")] == [313, 314]
    for taken in (1, 313, 314, -5):
        with pytest.raises(Refused, match="#314 is taken already\npacklead number-from 315"):
            number_from(store, taken)
    with pytest.raises(Refused, match="numbers go up to"):
        number_from(store, 2**31)
    assert asked(store, "c") == 315
    number_from(store, 400)
    assert asked(store, "d") == 400


def test_numbers_go_on_in_a_file(store: Store) -> None:
    goes_on(store)


def test_numbers_go_on_in_postgres(postgres: str) -> None:
    name = f"packlead_{uuid.uuid4().hex}"
    make(postgres, name)
    store = Store(f"{postgres}/{name}", key=b"the key of a house of tests, long enough")
    try:
        goes_on(store)
    finally:
        store.close()
        drop(postgres, name)
