"""A store of the test's own, its past orders, and rules and lists that go away with the test."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import Any

import pytest
from flask import Flask, has_app_context
from sqlalchemy import delete, insert, text

from portal.core.actors import SYSTEM
from portal.core.db import db, transaction
from portal.core.ids import new_id
from portal.merchants.service import NewStore, create_merchant, create_store
from portal.orders.models import Order
from portal.reference.snapshot import forget_all
from portal.risk.facts import OrderFacts
from portal.risk.models import RiskListEntry, RiskRule

Facts = Callable[..., OrderFacts]
Past = Callable[..., uuid.UUID]


@pytest.fixture
def app(committing_app: Flask) -> Flask:
    """What is committed here stays: each test has rows of its own."""
    return committing_app


@pytest.fixture
def store_id(app: Flask) -> Iterator[uuid.UUID]:
    with nullcontext() if has_app_context() else app.app_context():
        forget_rules()
        with transaction():
            store = create_store(
                create_merchant("A merchant", actor=SYSTEM).id, NewStore(name="A store"), actor=SYSTEM
            )
        yield store.id
        db.session.rollback()
        with transaction():
            # These orders were never paid for: they must not meet the checks of the ledger.
            db.session.execute(text("SET LOCAL session_replication_role = replica"))
            db.session.execute(delete(Order).where(Order.store_id == store.id))
        forget_rules()


def forget_rules() -> None:
    with transaction():
        db.session.execute(delete(RiskRule))
        db.session.execute(delete(RiskListEntry))
    forget_all()


@pytest.fixture
def address() -> str:
    """An address that no other test has ordered from."""
    return str(IPv4Address(0x0A000000 + random.getrandbits(24)))


@pytest.fixture
def facts(store_id: uuid.UUID) -> Facts:
    """Facts of a new payin of 1,500.00 RUB."""

    def make(**known: Any) -> OrderFacts:
        values: dict[str, Any] = {
            "order_id": new_id(),
            "store_id": store_id,
            "mode": "live",
            "direction": "payin",
            "amount_minor": 150_000,
            "currency": "RUB",
            "at": datetime.now(UTC),
        }
        return OrderFacts(**(values | known))

    return make


@pytest.fixture
def past(store_id: uuid.UUID) -> Past:
    """An earlier order of the store, so many minutes ago. Its id is as old as the order."""

    def make(minutes_ago: float, **columns: Any) -> uuid.UUID:
        at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
        order_id = uuid.UUID(int=(int(at.timestamp() * 1000) << 80) | (new_id().int & ((1 << 80) - 1)))
        values: dict[str, Any] = {
            "id": order_id,
            "mode": "live",
            "direction": "payin",
            "status": "expired",
            "store_id": store_id,
            "amount_minor": 100_000,
            "currency": "RUB",
            "settlement_currency": "USDT",
            "settlement_minor": 1,
            "fee_minor": 0,
            "rate_micros": 95_000_000,
            "rate_source": "manual",
            "rate_at": at,
            "store_fee_bps": 0,
            "fixed_fee_minor": 0,
            "trader_commission_bps": 0,
            "lead_commission_bps": 0,
            "token_hash": order_id.bytes,
            "created_at": at,
            "updated_at": at,
            "ended_at": at,
        }
        with transaction():
            db.session.execute(insert(Order).values(values | columns))
        return order_id

    return make
