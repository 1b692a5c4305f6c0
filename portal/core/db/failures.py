"""What an error of the database means: lost a race, away, or neither."""

from __future__ import annotations

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

# Serialization failure, deadlock, lock timeout: the same transaction may well succeed a moment later.
RETRIED_SQLSTATES = frozenset({"40001", "40P01", "55P03"})
# Unique indexes whose violation only says that a race was lost to a neighbour.
RETRIED_CONSTRAINTS = frozenset({"uq_orders_requisite_open_amount", "pk_idempotency_key"})
_QUERY_CANCELED = "57014"
# The server has ended the session because its transaction stood still, or took, for too long: as when this process
# got no processor meanwhile. The driver counts them among errors of the program.
_ENDED_FOR_ITS_TIME = frozenset({"25P03", "25P04"})
# Connection lost, no room (disk, memory, connections), shutting down or starting, errors of the system around it.
_OUT_OF_SERVICE = ("08", "53", "57P", "58")


def _driver_error(error: BaseException) -> psycopg.Error | None:
    origin = error.orig if isinstance(error, DBAPIError) else error
    return origin if isinstance(origin, psycopg.Error) else None


def sqlstate_of(error: BaseException) -> str | None:
    origin = _driver_error(error)
    return origin.sqlstate if origin else None


def constraint_of(error: BaseException) -> str | None:
    """Name of the violated constraint or unique index, if that is what the error is about."""
    origin = _driver_error(error)
    return origin.diag.constraint_name if origin else None


def is_worth_retrying(error: BaseException) -> bool:
    return sqlstate_of(error) in RETRIED_SQLSTATES or constraint_of(error) in RETRIED_CONSTRAINTS


def is_connection_lost(error: BaseException) -> bool:
    """The server is gone or going, which no other statement would survive either."""
    origin = _driver_error(error)
    if origin is not None and origin.sqlstate in _ENDED_FOR_ITS_TIME:
        return True
    return isinstance(origin, psycopg.OperationalError) and (origin.sqlstate or "08").startswith(
        ("08", "57P")
    )


def is_out_of_service(error: BaseException) -> bool:
    """The database is away, starting, full, busy or too slow: true for everybody, and over at some time."""
    if isinstance(error, PoolTimeout):
        return True
    origin = _driver_error(error)
    if origin is None:
        return isinstance(error, DBAPIError) and error.connection_invalidated
    state = origin.sqlstate
    if state is None:
        return isinstance(origin, psycopg.OperationalError)
    is_known = state in RETRIED_SQLSTATES or state in _ENDED_FOR_ITS_TIME or state == _QUERY_CANCELED
    return is_known or state.startswith(_OUT_OF_SERVICE)
