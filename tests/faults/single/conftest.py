"""One process of the house between a proxy before PostgreSQL, its own shop and its own trader."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from flask import Flask
from pydantic import SecretStr

from portal import create_app
from portal.core.db import db, transaction
from portal.core.modes import Mode
from portal.identity.tokens.api_keys import issue_api_key
from portal.settings import get_settings
from tests.api.conftest import Shop
from tests.faults.invariants import Connection, broken
from tests.faults.proxy import Proxy, postgres_target, postgres_through, proxy_to
from tests.web.desk import Desk, open_desk

# Short, so that what is bounded by them is over within a test.
BOUNDS = {
    "db_pool_size": 3, "db_pool_timeout_s": 0.5, "db_lock_timeout_ms": 400, "db_statement_timeout_ms": 1500,
    "db_idle_in_transaction_timeout_s": 2,
}  # fmt: skip
# What the driver waits for beyond the statement's time, and for a new connection.
WITHIN_S = 8.0

# Databases in which rows were edited by hand and put back: who wrote them does not tell when they were made.
EDITED: set[str] = set()


@dataclass
class Site:
    """The house as one process that reaches PostgreSQL through `proxy`, and those who use it.

    `desk` belongs to the trader of every order of `shop`. What the test itself reads goes past the proxy.
    """

    app: Flask
    url: str
    proxy: Proxy
    desk: Desk
    shop: Shop

    def forget_connections(self) -> None:
        """The next statements are sent as text, so that the proxy can tell them by it."""
        with self.app.app_context():
            db.engine.dispose()

    def sql(self, text: str, *values: object) -> list[Any]:
        with self.connection() as connection:
            cursor = connection.execute(text.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def connection(self) -> Connection:
        """One of the test's own, past the proxy."""
        return psycopg.connect(self.url.replace("+psycopg", "", 1), autocommit=True)

    def orders(self) -> list[dict[str, Any]]:
        """What the shop sees of its orders."""
        answer = self.shop.get("/api/v1/orders")
        assert answer.status_code == 200, answer.json
        found: list[dict[str, Any]] = (answer.json or {})["data"]
        return found

    def prove(self) -> None:
        with self.connection() as connection:
            assert [str(found) for found in broken(connection, is_copy=self.url in EDITED)] == []


@pytest.fixture
def site(committed_db: Flask) -> Iterator[Site]:
    url = str(committed_db.config["SQLALCHEMY_DATABASE_URI"])
    with proxy_to(postgres_target(url)) as proxy:
        own = BOUNDS | {"database_url": SecretStr(postgres_through(url, proxy))}
        app = create_app(get_settings().model_copy(update=own))
        desk = open_desk(app)
        with transaction():
            _, key = issue_api_key(desk.scene.store_id, Mode.LIVE, "a shop's program")
        shop = Shop(app, desk.scene.store_id, desk.scene.team_id, key, key)
        site = Site(app, url, proxy, desk, shop)
        yield site
        proxy.mend()
        db.session.rollback()
        site.prove()
        site.forget_connections()
