"""The audit: whatever is done to it afterwards is found."""

from __future__ import annotations

import random
from functools import partial

import pytest
import sqlalchemy as sa

from bot.audit import Audit
from bot.schema import audit, audit_head
from bot.witness import FILE, Seen, Witness

KEY = b"not in the database"
ROWS = 60


@pytest.fixture
def heads():
    """The heads as they were after each row, from none on."""
    return [None]


@pytest.fixture
def kept(store, heads, tmp_path):
    written = Audit(store, KEY, Witness(tmp_path))
    for number in range(ROWS):
        written.write("intent", f"op-{number % 7}", {"what": f"terminate i-{number}", "n": number})
        heads.append(store.look(lambda c: c.execute(sa.select(audit_head)).first()))
    return written


def test_what_nobody_touched_is_whole(kept):
    assert kept.verify() == []
    assert [row.number for row in kept.rows()] == list(range(1, ROWS + 1))


def test_a_thousand_edits_deletions_swaps_and_cut_ends_are_found(kept, store, heads):
    changes = CHANGES | {"put back": partial(_put_back, heads)}
    chance, missed, seen = random.Random(20261124), [], {}
    rows = list(kept.rows())
    for number in range(1000):
        connection = store.engine.connect()
        change = connection.begin()
        how = chance.choice(list(changes))
        told = changes[how](connection, chance, rows)
        found = _within(connection, kept)
        change.rollback()
        connection.close()
        seen[how] = seen.get(how, 0) + 1
        if not found:
            missed.append(f"{number}: {how} {told}")
    assert not missed, f"{len(missed)} of 1000 were not found: {missed[:10]}"
    assert min(seen.values()) > 50, seen
    assert kept.verify() == [], "and all of it was put back"


def test_without_the_key_nobody_can_write_it_anew(kept, store):
    rows = list(kept.rows())
    forger = Audit(store, b"a guess")
    store.transact(lambda c: (c.execute(audit.delete()), c.execute(audit_head.delete())))
    for row in rows[:-1]:
        forger.write(row.kind, row.operation, row.data)
    assert kept.verify()


def test_what_is_written_after_a_cut_does_not_hide_it(kept, store, heads, tmp_path):
    before = kept.witness.seen()
    store.transact(lambda c: _put_back(heads, c, random.Random(30), ()))
    again = Audit(store, KEY, Witness(tmp_path))
    for number in range(2 * ROWS):
        again.write("said", "op", {"n": number})
    assert kept.witness.seen() == before
    [told] = again.verify()
    assert told.startswith(f"row {ROWS}, which this machine has written, is missing or another one")
    (tmp_path / FILE).unlink()  # as the words say where it was done on purpose
    assert again.verify() == []
    again.write("said", "op", {})
    *_, newest = again.rows()
    assert again.witness.seen() == Seen(newest.number, newest.code)


def test_each_machine_keeps_what_it_has_written_itself(kept, store, tmp_path):
    (tmp_path / "other").mkdir()
    other = Audit(store, KEY, Witness(tmp_path / "other"))
    other.write("said", "op", {})
    kept.write("said", "op", {})
    assert (other.witness.seen().number, kept.witness.seen().number) == (ROWS + 1, ROWS + 2)
    assert other.verify() == kept.verify() == []
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    with pytest.raises(ZeroDivisionError):
        store.transact(lambda c: (kept.add(c, "said", "op", {}), 1 / 0))
    assert store.once("something else")
    assert kept.witness.seen().number == ROWS + 2, "what was rolled back was not written"


def test_a_witness_that_cannot_write_stops_nothing(store, tmp_path, caplog):
    """Its folder is gone, or its file is not what it was: said once, and made anew when it can."""
    folder = tmp_path / "gone"
    written = Audit(store, KEY, Witness(folder))
    for number in range(3):
        written.write("said", "op", {"n": number})
    assert len(caplog.messages) == 1 and str(folder / FILE) in caplog.text
    folder.mkdir()
    for left in (b"", b"3 of", b"\xff" * 80):
        (folder / FILE).write_bytes(left)
        assert written.witness.seen() is None and written.verify() == []
        written.write("said", "op", {})
        assert written.witness.seen() and written.verify() == []


def test_after_another_key_what_comes_later_is_verified(kept, store):
    later = Audit(store, b"another key of the house", kept.witness)
    assert later.verify(), "rows of the key before"
    assert later.verify(ROWS) == [], "nothing yet"
    later.write("said", "op", {})
    later.write("said", "op", {})
    assert later.verify(ROWS) == [] and kept.verify(ROWS) != []
    store.transact(
        lambda c: c.execute(audit.update().where(audit.c.number == ROWS + 1).values(at=0.0))
    )
    assert later.verify(ROWS) == [f"row {ROWS + 1} is not what was written, or not where it was"]
    assert later.verify(ROWS + 9) == [f"row {ROWS + 9} is missing"]


def test_all_of_it_gone_is_found_too(ask, store):
    assert ask("U0ADA", "deploy prod master").ok
    store.transact(lambda c: (c.execute(audit.delete()), c.execute(audit_head.delete())))
    assert store.audit.verify() == ["the head is missing"]


def test_what_is_asked_refused_and_ended_is_in_it(ask, store):
    ask("U0ADA", "deploy prod master", id="one")
    ask("U0EVE", "deploy prod master", id="two")
    ask("U0ADA", "lock prod moving", id="three")
    ask("U0ADA", "cancel 1", id="four")
    told = [(row.kind, row.operation) for row in store.audit.rows()]
    assert told == [
        ("accepted", "one"), ("refused", "two"), ("said", "three"), ("said", "four"),
        ("ended", "one"),
    ]  # fmt: skip
    assert store.audit.verify() == []


def test_where_it_cannot_be_written_nothing_is_accepted(ask, store):
    store.transact(lambda c: c.execute(sa.text("alter table audit rename to elsewhere")))
    for line in ("deploy prod master", "lock prod moving"):
        reply = ask("U0ADA", line)
        assert not reply.ok and "the database cannot be reached" in reply.text
    assert store.live() == [] and store.locks.all() == []


def _within(connection, kept):
    """What verify says inside a transaction that is not committed."""

    class Here:
        alone = True
        now = staticmethod(lambda: 0.0)

        @staticmethod
        def transact(work):
            return work(connection)

        look = transact

    return Audit(Here(), KEY, kept.witness).verify()  # type: ignore[arg-type]


def _edit(c, chance, rows):
    row = chance.choice(rows)
    column = chance.choice(("at", "kind", "operation", "data", "code"))
    values = {
        "at": row.at + 1, "kind": "outcome", "operation": row.operation + "x",
        "data": {**row.data, "n": -1}, "code": row.code[::-1],
    }  # fmt: skip
    c.execute(audit.update().where(audit.c.number == row.number).values({column: values[column]}))
    return f"{column} of {row.number}"


def _delete(c, chance, rows):
    row = chance.choice(rows)
    c.execute(audit.delete().where(audit.c.number == row.number))
    return row.number


def _delete_and_close_up(c, chance, rows):
    row = chance.choice(rows[:-1])
    c.execute(audit.delete().where(audit.c.number == row.number))
    for later in rows[row.number :]:
        where = audit.update().where(audit.c.number == later.number)
        c.execute(where.values(number=later.number - 1))
    return row.number


def _swap(c, chance, rows):
    one, other = chance.sample(rows, 2)
    for row, number in ((one, 10_000), (other, one.number), (one, other.number)):
        now = 10_000 if number == other.number else row.number
        c.execute(audit.update().where(audit.c.number == now).values(number=number))
    return f"{one.number} and {other.number}"


def _cut(c, chance, rows):
    keep = chance.randrange(ROWS)
    c.execute(audit.delete().where(audit.c.number > keep))
    if chance.random() < 0.5:  # and the head is made to fit
        code = rows[keep - 1].code if keep else "0" * 64
        c.execute(audit_head.update().values(number=keep, code=code))
    return f"after {keep}"


def _put_back(heads, c, chance, _rows):
    """All of it is as it was once: nothing in the database tells."""
    keep = chance.randrange(ROWS)
    c.execute(audit.delete().where(audit.c.number > keep))
    c.execute(audit_head.delete())
    if heads[keep]:
        c.execute(audit_head.insert().values(heads[keep]._asdict()))
    return f"as after {keep}"


CHANGES = {
    "edit": _edit, "delete": _delete, "close up": _delete_and_close_up, "swap": _swap, "cut": _cut,
}  # fmt: skip
