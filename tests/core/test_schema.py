"""The database as others may have it: of a newer Packlead, or with few rights."""

from __future__ import annotations

import uuid
from pathlib import Path

import sqlalchemy as sa

from bot.database import connect
from bot.schema import may_have_another
from bot.store import Store
from tests.lab.postgres import drop, make


def test_a_database_of_a_newer_packlead_is_gone_on_with(tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'packlead.db'}"
    first = Store(url)
    with first.engine.begin() as c:
        c.execute(sa.text("update alembic_version set version_num = '9999'"))
    first.close()
    older = Store(url)
    assert older.history() == []
    with older.engine.begin() as c:
        assert c.execute(sa.text("select version_num from alembic_version")).scalar() == "9999"
    older.close()


def test_a_role_that_may_make_no_schema_is_told_before_the_start(postgres: str):
    name, role = f"packlead_{uuid.uuid4().hex}", f"narrow_{uuid.uuid4().hex[:12]}"
    make(postgres, name)
    owner, become = connect(f"{postgres}/{name}"), f"set local role {role}"
    narrow = connect(f"{postgres}/{name}")
    sa.event.listen(narrow, "begin", lambda connection: connection.exec_driver_sql(become))

    def say(*lines: str) -> None:
        with owner.begin() as c:
            for line in lines:
                c.exec_driver_sql(line)

    say(f"create role {role}")
    assert may_have_another(owner) and not may_have_another(narrow)
    say(f"grant create on database {name} to {role}")
    assert may_have_another(narrow)
    say(f"drop owned by {role}", f"drop role {role}")
    narrow.dispose()
    owner.dispose()
    drop(postgres, name)
