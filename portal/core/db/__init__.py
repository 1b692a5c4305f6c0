"""The database: one session, one commit, and constant SQL on the session's own connection."""

from portal.core.db.failures import (
    constraint_of,
    is_connection_lost,
    is_out_of_service,
    is_worth_retrying,
    sqlstate_of,
)
from portal.core.db.session import Base, Model, db, engine_options
from portal.core.db.transactions import (
    after_commit,
    hot,
    read_rows,
    read_rows_aside,
    release,
    run_in_one_statement,
    run_in_transaction,
    take_time,
    transaction,
)

__all__ = [
    "Base",
    "Model",
    "after_commit",
    "constraint_of",
    "db",
    "engine_options",
    "hot",
    "is_connection_lost",
    "is_out_of_service",
    "is_worth_retrying",
    "read_rows",
    "read_rows_aside",
    "release",
    "run_in_one_statement",
    "run_in_transaction",
    "sqlstate_of",
    "take_time",
    "transaction",
]
