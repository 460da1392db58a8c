"""Alembic's entry: runs the linear history of the backend's database with the owning role."""

import psycopg
from alembic import context
from sqlalchemy import Connection, NullPool, create_engine, text

from motovaultpro.migrations.runner import ONE_AT_A_TIME

LOCK_TIMEOUT = "2s"


def run(connection: Connection) -> None:
    # Why: replicas that start together migrate together; all but the first then find nothing to do.
    connection.execute(text(f"SELECT pg_advisory_lock({ONE_AT_A_TIME})"))
    # Why: a migration that waits for a lock makes every later query wait behind it; better to fail and try again.
    connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
    connection.commit()
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


def render() -> None:
    """Write the SQL instead of running it: `scripts/check_migrations.py` lints it."""
    context.configure(dialect_name="postgresql", transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    render()
else:
    engine = create_engine(
        "postgresql+psycopg://",
        poolclass=NullPool,
        creator=lambda: psycopg.connect(context.config.attributes["conninfo"]),
    )
    with engine.connect() as opened:
        run(opened)
