"""The tables, and the way from any older schema to this one (Alembic, bot/migrations)."""

from __future__ import annotations

import logging
from pathlib import Path

import sqlalchemy as sa

NEWEST = "0004"  # the revision of bot/migrations/versions that these tables are
LONG = 3600.0  # seconds: an index on a large table is made without a word

metadata = sa.MetaData()

operations = sa.Table(
    "operations",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(200), nullable=False, unique=True),
    sa.Column("line", sa.Text, nullable=False),
    sa.Column("command", sa.String(40), nullable=False),
    sa.Column("environment", sa.String(40), nullable=False),
    sa.Column("person", sa.String(80), nullable=False),
    sa.Column("front", sa.String(20), nullable=False),
    sa.Column("audience", sa.JSON, nullable=False),
    sa.Column("audience_kind", sa.String(20), nullable=False),
    sa.Column("exclusive", sa.Boolean, nullable=False),
    sa.Column("parent", sa.String(200), nullable=False),
    sa.Column("state", sa.String(12), nullable=False, index=True),
    sa.Column("cancelled_by", sa.String(80), nullable=False, server_default=""),
    sa.Column("approval", sa.String(64), nullable=False, server_default=""),
    sa.Column("approved_by", sa.String(80), nullable=False, server_default=""),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("started", sa.Float),
    sa.Column("finished", sa.Float),
    sa.Index(
        "one_running_in_an_environment",
        "environment",
        unique=True,
        sqlite_where=sa.text("state = 'running' and exclusive"),
        postgresql_where=sa.text("state = 'running' and exclusive"),
    ),
    sqlite_autoincrement=True,  # a number is never used twice: hosts fence by it
)
events = sa.Table(
    "events",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("operation", sa.String(200), nullable=False),
    sa.Column("key", sa.String(200), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
    sa.UniqueConstraint("operation", "key"),
    sqlite_autoincrement=True,
)
notes = sa.Table(
    "notes",
    metadata,
    sa.Column("audience", sa.String(20), primary_key=True),
    sa.Column("operation", sa.String(200), primary_key=True),
    sa.Column("data", sa.JSON, nullable=False),
    sa.Column("finished", sa.Boolean, nullable=False),
)
seen = sa.Table(
    "seen",
    metadata,
    sa.Column("key", sa.String(200), primary_key=True),
    sa.Column("until", sa.Float, nullable=False, index=True),
)
locks = sa.Table(
    "locks",
    metadata,
    sa.Column("environment", sa.String(40), primary_key=True),
    sa.Column("person", sa.String(80), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("since", sa.Float, nullable=False),
    sa.Column("until", sa.Float),
)
releases = sa.Table(
    "releases",
    metadata,
    sa.Column("environment", sa.String(40), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("commit", sa.String(40), nullable=False),
    sa.Column("ref", sa.String(200), nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("person", sa.String(80), nullable=False),
    sa.Column("operation", sa.String(200), nullable=False, unique=True),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
)
sealed = sa.Table(
    "sealed",
    metadata,
    sa.Column("operation", sa.String(200), primary_key=True),
    sa.Column("data", sa.Text, nullable=False),
    sa.Column("until", sa.Float, nullable=False),
)
audit = sa.Table(
    "audit",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("kind", sa.String(12), nullable=False),
    sa.Column("operation", sa.String(200), nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
    sa.Column("code", sa.String(64), nullable=False),
)
audit_head = sa.Table(
    "audit_head",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("code", sa.String(64), nullable=False),
    sa.Column("seal", sa.String(64), nullable=False),
)
turns = sa.Table(
    "turns",
    metadata,
    sa.Column("operation", sa.String(200), primary_key=True),
    sa.Column("holder", sa.Integer, nullable=False),
    sa.Column("turn", sa.Integer, nullable=False),
    sa.Column("place", sa.String(40), nullable=False),
    sa.Column("played", sa.Integer, nullable=False),
    sa.Column("by", sa.String(120), nullable=False),
)
workers = sa.Table(
    "workers",
    metadata,
    sa.Column("id", sa.String(120), primary_key=True),
    sa.Column("beat", sa.Float, nullable=False),
    sa.Column("since", sa.Float),  # it has beaten in time ever since then
)


def upgrade(engine: sa.Engine, reading: sa.Engine) -> None:
    """Bring a database to this schema; where it is there only `reading` looks, without Alembic."""
    if _revision(reading) >= NEWEST:  # a later one only adds: who is older goes on with it
        return
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        if (
            engine.dialect.name == "postgresql"
        ):  # two that start at once: one waits, then finds it done
            connection.detach()
            connection.connection.dbapi_connection.silence = LONG  # type: ignore[union-attr]
            connection.execute(sa.text("select pg_advisory_xact_lock(7225533)"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def may_have_another(engine: sa.Engine) -> bool:
    """Tell whether the engine has its schema, or may make it; a SQLite file has no such thing."""
    if engine.dialect.name != "postgresql":
        return True
    asked = sa.text(
        "select case when to_regnamespace('dbos') is null"
        " then has_database_privilege(current_database(), 'CREATE')"
        " else has_schema_privilege('dbos', 'CREATE') end"
    )
    with engine.begin() as connection:
        return bool(connection.execute(asked).scalar())


def _revision(engine: sa.Engine) -> str:
    with engine.begin() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return ""
        found = connection.execute(sa.text("select version_num from alembic_version")).scalar()
        return str(found or "")
