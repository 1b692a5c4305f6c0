"""The session, the models' base, and how each connection behaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from flask_sqlalchemy import SQLAlchemy
from psycopg.types.numeric import Int8Dumper
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

from portal.core.db.bounded_connection import answer_within_s
from portal.settings import Settings

# One wire type for every int: otherwise a statement is prepared anew for each mix of small and large values.
psycopg.adapters.register_dumper(int, Int8Dumper)

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)


db = SQLAlchemy(
    model_class=Base,
    session_options={"expire_on_commit": False, "autoflush": False},
)

if TYPE_CHECKING:
    # The extension makes its base class at run time, where a type checker can't follow.
    class Model(Base):
        __abstract__ = True

        def __init__(self, **values: Any) -> None: ...

else:
    Model = db.Model


def engine_options(settings: Settings) -> dict[str, Any]:
    """Pool and session parameters: bounded waits everywhere, durable commits, UTC."""
    guc = {
        "timezone": "UTC",
        "synchronous_commit": "on",
        "default_transaction_isolation": "read\\ committed",
        "lock_timeout": f"{settings.db_lock_timeout_ms}ms",
        "statement_timeout": f"{settings.db_statement_timeout_ms}ms",
        "idle_in_transaction_session_timeout": f"{settings.db_idle_in_transaction_timeout_s}s",
        # A client that is gone without a word must not keep its locks.
        "client_connection_check_interval": "2s",
        "tcp_keepalives_idle": "5",
        "tcp_keepalives_interval": "2",
        "tcp_keepalives_count": "3",
    }
    return {
        "pool_size": settings.db_pool_size,
        "max_overflow": 0,
        "pool_timeout": settings.db_pool_timeout_s,
        "pool_use_lifo": True,
        # Values stay out of the errors' texts.
        "hide_parameters": True,
        "connect_args": {
            "options": " ".join(f"-c {key}={value}" for key, value in guc.items()),
            "prepare_threshold": 2,
            "connect_timeout": 5,
            "application_name": "nostro",
            # Nor may a server that is gone without a word keep a request.
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": round(1000 * answer_within_s(settings)),
        },
    }
