"""The way to the database for whoever changes its tables: migrations and restores, as their owner."""

from __future__ import annotations

from sqlalchemy import Engine, create_engine

from portal.core.db import engine_options
from portal.core.db.bounded_connection import answer_within_s, bound_answers
from portal.settings import Settings


def owner_url(settings: Settings) -> str:
    """DATABASE_OWNER_URL, or DATABASE_URL where everything runs as one role."""
    return (settings.database_owner_url or settings.database_url).get_secret_value()


def owner_engine(settings: Settings, engine: Engine) -> Engine:
    """An engine of its own for the owner; the application's, `engine`, where there is no other role."""
    if settings.database_owner_url is None:
        return engine
    own = create_engine(owner_url(settings), **engine_options(settings))
    bound_answers(own, answer_within_s(settings))
    return own
