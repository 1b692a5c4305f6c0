"""A store with things that happen to it, and a way to let time pass.

Everything here is committed for real: relay and sender work in threads and processes of their own.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from portal.core.actors import SYSTEM
from portal.core.db import db, transaction
from portal.core.egress import policy as egress_policy
from portal.core.ids import new_id
from portal.core.modes import Mode
from portal.events.models import Event
from portal.events.relay import relay_events
from portal.merchants.service import NewStore, create_merchant, create_store
from portal.reference import configuration as config
from portal.reference import setting_changes
from portal.settings import Settings, get_settings
from portal.webhooks.fanout import create_deliveries
from portal.webhooks.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from portal.webhooks.service import EndpointUrl, set_endpoint


@dataclass
class Stage:
    """One app context with its own session, and short words for what the tests need."""

    app: Flask

    def store(self) -> uuid.UUID:
        with transaction():
            merchant = create_merchant("A merchant", actor=SYSTEM)
            return create_store(merchant.id, NewStore(name="A store"), actor=SYSTEM).id

    def endpoint(
        self, url: str = "http://127.0.0.1:9/hook", *, store: uuid.UUID | None = None, **options: Any
    ) -> tuple[WebhookEndpoint, str]:
        with transaction():
            mode = options.pop("mode", Mode.TEST)
            endpoint, secret = set_endpoint(store or self.store(), mode, EndpointUrl(url), **options)
        assert secret is not None
        return endpoint, secret

    def happen(self, store: uuid.UUID, count: int = 1, **columns: Any) -> list[uuid.UUID]:
        """`count` committed events of the store; returns their ids."""
        defaults = {"type": "order.completed", "mode": "test", "data": {"object": "order"}, "version": 1}
        ids = [new_id() for _ in range(count)]
        with transaction():
            db.session.add_all(
                Event(
                    id=event_id,
                    store_id=store,
                    subject_kind="order",
                    subject_id=new_id(),
                    **(defaults | columns),
                )
                for event_id in ids
            )
        return ids

    def relay(self) -> None:
        while relay_events(create_deliveries):
            pass

    def happen_and_relay(self, store: uuid.UUID, count: int = 1, **columns: Any) -> list[uuid.UUID]:
        ids = self.happen(store, count, **columns)
        self.relay()
        return ids

    def deliveries(self, endpoint: WebhookEndpoint) -> list[WebhookDelivery]:
        query = db.select(WebhookDelivery).filter_by(endpoint_id=endpoint.id).order_by("event_id")
        found = list(db.session.scalars(query.execution_options(populate_existing=True)))
        db.session.rollback()
        return found

    def attempts(self, delivery: WebhookDelivery) -> list[WebhookAttempt]:
        query = db.select(WebhookAttempt).filter_by(delivery_id=delivery.id).order_by("id")
        found = list(db.session.scalars(query))
        db.session.rollback()
        return found

    def fresh(self, endpoint: WebhookEndpoint) -> WebhookEndpoint:
        found = db.session.get_one(WebhookEndpoint, endpoint.id, populate_existing=True)
        db.session.rollback()
        return found

    def allow_seconds(self, timeout_s: int) -> None:
        """How long an attempt may take from now on; the fixture puts it back."""
        with transaction():
            setting_changes.set_value(config.WEBHOOK_TIMEOUT_S.key, timeout_s, SYSTEM)

    def pass_time(self, seconds: float) -> None:
        """Every moment that somebody waits for comes closer by this much."""
        moves = {
            "event": ("next_at", "lease_until"),
            "webhook_delivery": ("next_at", "lease_until"),
            "webhook_endpoint": ("failing_since", "former_secret_until", "disabled_at"),
        }
        with transaction():
            for table, columns in moves.items():
                changes = ", ".join(f"{name} = {name} - make_interval(secs => :s)" for name in columns)
                db.session.execute(text(f"UPDATE {table} SET {changes}"), {"s": seconds})


# What a lease lasts while an attempt may take its usual 15 seconds.
LEASE_S = 40


@contextmanager
def settings_with(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Iterator[Settings]:
    fresh = {"webhooks_allow_http": False, "egress_allow_networks": (), "egress_ports": (443,)}
    changed = get_settings().model_copy(update=fresh | changes)
    monkeypatch.setattr(egress_policy, "get_settings", lambda: changed)
    yield changed


@pytest.fixture
def app(committing_app: Flask) -> Flask:
    """What is committed here stays: each test has rows of its own."""
    return committing_app


@pytest.fixture(autouse=True)
def nothing_internal_allowed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The policy of a fresh installation, whatever this machine's own settings say."""
    with settings_with(monkeypatch):
        yield


@pytest.fixture
def loopback_allowed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The operator wrote down that calls may reach this machine's loopback."""
    with settings_with(monkeypatch, egress_allow_networks=(ip_network("127.0.0.0/8"),)):
        yield


@pytest.fixture
def stage(committed_db: Flask) -> Iterator[Stage]:
    _forget_everything()
    yield Stage(committed_db)
    db.session.rollback()
    with transaction():
        setting_changes.reset(config.WEBHOOK_TIMEOUT_S.key, SYSTEM)


def _forget_everything() -> None:
    with transaction():
        for table in ("webhook_probe", "webhook_attempt", "webhook_delivery", "webhook_endpoint", "event"):
            db.session.execute(text(f"DELETE FROM {table}"))
