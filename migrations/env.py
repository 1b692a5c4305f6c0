"""Alembic's environment: online only, one transaction a migration, bounded waits for locks.

Migrations run as the owner of the tables. After an upgrade the roles that own nothing get what they may do.
"""

from __future__ import annotations

from alembic import context
from flask import current_app
from sqlalchemy import Connection, text

from portal.audit.chain_statements import begin_in_new_database
from portal.core.db import release, transaction
from portal.core.db.owner_engine import owner_engine
from portal.core.schema.rights import Roles, give_rights
from portal.table_rights import writer_rights

target = current_app.extensions["migrate"].db
settings = current_app.extensions["nostro_settings"]


_HAS_TABLES = """
SELECT EXISTS (SELECT 1 FROM pg_class WHERE relkind IN ('r', 'p') AND relname <> 'alembic_version'
                  AND relnamespace = 'public'::regnamespace)
"""


def include_object(_obj: object, _name: str | None, kind: str, reflected: bool, compare_to: object) -> bool:
    """Leave alone what the models do not know (partitions, extensions' tables)."""
    return not (kind == "table" and reflected and compare_to is None)


def run() -> None:
    with owner_engine(settings, target.engine).connect() as connection:
        connection.execute(text("SET lock_timeout = '10s'"))
        connection.execute(text("SET statement_timeout = 0"))
        connection.commit()
        # Changing a large table takes its time.
        connection.connection.dbapi_connection.answer_within_s = None
        is_new = not connection.execute(text(_HAS_TABLES)).scalar_one()
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=target.metadata,
            include_object=include_object,
            compare_type=True,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()
        # Also when there was nothing to migrate: the roles may be new. What only asks changes nothing.
        if "destination_rev" in context.get_context().opts:
            hand_out(connection)
            if is_new and sorted(context.get_context().get_current_heads()) == sorted(
                context.script.get_heads()
            ):
                # Nothing can be hidden in tables that were made this moment; later an operator begins the chains.
                with transaction():
                    begin_in_new_database()
                release()


def hand_out(connection: Connection) -> None:
    roles = Roles(settings.database_writer_role, settings.database_reader_role)
    connection.commit()  # what Alembic has only read keeps one open
    with connection.begin():
        give_rights(connection.connection.dbapi_connection, roles, writer_rights)


run()
