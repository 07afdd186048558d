"""The database's first server becomes the second one: its connections take no writes any more."""

from __future__ import annotations

import threading
import uuid

import psycopg
import sqlalchemy as sa

from bot.database import SILENCE, SILENT, heard
from bot.store import Store
from tests.lab.postgres import drop, make
from tests.waiting import until

KEY = b"the key of a house of tests, long enough"


def test_a_server_that_was_demoted_is_waited_out_like_one_that_is_away(postgres: str):
    name = f"packlead_{uuid.uuid4().hex}"
    make(postgres, name)
    refused: list[sa.engine.ExceptionContext] = []
    store = Store(f"{postgres}/{name}", patience=600, key=KEY)
    try:
        with psycopg.connect(f"{postgres}/postgres", autocommit=True) as admin:
            admin.execute(f"alter database {name} set default_transaction_read_only = on")
            sa.event.listen(store.engine, "handle_error", lambda c: refused.append(c))
            store.engine.dispose()  # new connections are as those to a demoted server are
            kept = threading.Thread(target=store.keep_note, args=("slack", "one", {"said": 1}))
            kept.start()
            until(lambda: len(refused) > 1, lambda: f"it was refused and tries again: {refused}")
            admin.execute(f"alter database {name} set default_transaction_read_only = off")
            kept.join()
        assert store.note("slack", "one") == {"said": 1}
    finally:
        store.close()
        drop(postgres, name)


def test_what_a_url_says_of_silent_servers_stands():
    # a pgbouncer would mix up what is prepared
    ours = {"prepare_threshold": None, "silence": SILENCE}
    assert heard("postgresql://db/packlead") == ours | SILENT
    assert "connect_timeout" not in heard("postgresql://db/packlead?connect_timeout=60")
    assert all(seconds < 15 for name, seconds in SILENT.items() if name != "tcp_user_timeout")
