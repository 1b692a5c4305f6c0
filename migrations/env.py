"""Alembic's environment: online only, one transaction a migration, bounded waits for locks."""

from __future__ import annotations

from alembic import context
from flask import current_app
from sqlalchemy import text

target = current_app.extensions["migrate"].db


def include_object(_obj: object, _name: str | None, kind: str, reflected: bool, compare_to: object) -> bool:
    """Leave alone what the models do not know (partitions, extensions' tables)."""
    return not (kind == "table" and reflected and compare_to is None)


def run() -> None:
    with target.engine.connect() as connection:
        connection.execute(text("SET lock_timeout = '10s'"))
        connection.execute(text("SET statement_timeout = 0"))
        connection.commit()
        # Changing a large table takes its time.
        connection.connection.dbapi_connection.answer_within_s = None
        context.configure(
            connection=connection,
            target_metadata=target.metadata,
            include_object=include_object,
            compare_type=True,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()


run()
