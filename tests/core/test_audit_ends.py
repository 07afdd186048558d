"""The audit says of each operation that it has ended, once, however it ends."""

from __future__ import annotations

import threading
import uuid
from collections import Counter

import sqlalchemy as sa

from bot.events import Done, Question, Stopped
from bot.store import Store
from tests.lab.postgres import drop, make
from tests.waiting import PATIENCE, until

WAITING = sa.text(
    "select count(*) from pg_stat_activity"
    " where datname = current_database() and wait_event_type = 'Lock'"
)


def test_each_way_in_which_an_operation_ends_is_in_it_once(ask, store):
    for id in ("ends", "asks", "expires", "stands before"):
        assert ask("U0ADA", "deploy prod master", id=id).ok
    store.begin("ends")
    store.end("ends", "done", Done("well"))
    store.end("ends", "failed", Stopped("a second end"))
    for id, late in (("asks", 0.0), ("expires", 1.0)):
        store.begin(id)
        store.ask(id, Question("sure?", "token", until=late))
    store.expire()
    assert store.approve(store.get("asks"), "token", "bob", takes_over=True)
    pushes = [pushed(store, f"push {number}") for number in (1, 2)]
    store.supersede(pushes[1])
    assert store.sealed.open("push 1") is None, "what it brought goes with it"
    assert {row.operation: row.data for row in store.audit.rows() if row.kind == "ended"} == {
        "ends": {"state": "done"},
        "expires": {"state": "failed"},
        "stands before": {"state": "cancelled", "by": "ada"},
        "asks": {"state": "done", "by": "bob"},
        "push 1": {"state": "cancelled", "by": f"#{pushes[1].number}"},
    }
    assert [*unended(store)] == []


def pushed(store, id):
    """Record a push as an operation that brings a value."""
    row = {"line": "deploy prod master", "command": "deploy", "person": "ada", "front": "github"}
    return store.submit(id, environment="prod", exclusive=True, value="s3cret", **row)[0]


def unended(store):
    """What was accepted and is over has its end in the audit, once; what lives has none."""
    kinds = Counter((row.kind, row.operation) for row in store.audit.rows())
    for kind, id in list(kinds):
        if kind == "accepted":
            operation, ends = store.get(id), kinds["ended", id]
            wanted = 0 if operation and operation.live else 1
            if ends != wanted:
                state = operation.state if operation else "gone"
                yield f"{id} is {state}, and the audit says {ends} times that it ended"


def test_a_rollback_and_the_end_of_the_deploy_before_it_pass_each_other(postgres: str):
    """Each needs the deploy's row and the audit, and takes them in one order."""
    name = f"packlead_{uuid.uuid4().hex}"
    make(postgres, name)
    store = Store(f"{postgres}/{name}", key=b"the key of a house of tests, long enough")
    row = {"environment": "prod", "person": "ada", "front": "slack", "exclusive": True}
    store.submit("deploy", line="deploy prod", command="deploy", **row)
    holder = store.begin("deploy").holder
    rollback = threading.Thread(
        target=store.submit, args=("rollback",), daemon=True,
        kwargs={"line": "rollback prod", "command": "rollback", "takes_over": True, **row},
    )  # fmt: skip

    def end(c: sa.Connection) -> None:
        assert store.turns.holds(c, "deploy", holder)
        rollback.start()
        until(lambda: store.look(lambda other: other.execute(WAITING).scalar()), "it waits")
        store.audit.add(c, "ended", "deploy", {"state": "done"})

    try:
        store.transact(end)
        rollback.join(PATIENCE)
        assert store.get("rollback"), "a rollback was refused because a deploy ended just then"
    finally:
        store.close()
        drop(postgres, name)
