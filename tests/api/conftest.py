"""A store with keys and a test trader, and a client that calls the API as its merchant would.

Everything is committed for real: the API runs in requests with sessions of their own. Each test has a store,
a trader and numbers of its own, so that nothing here meets other tests.
"""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask, has_app_context
from stdnum import luhn
from werkzeug.test import TestResponse

from portal.api import authentication
from portal.core.actors import SYSTEM
from portal.core.db import db, hot, transaction
from portal.core.ids import new_id, parse_public_id
from portal.core.modes import Mode
from portal.identity.models import Scope
from portal.identity.tokens.api_keys import issue_api_key
from portal.ledger.accounts import account_id, store_account
from portal.ledger.models import AccountKind
from portal.ledger.service import deposit_to_account
from portal.traders.models import Trader
from portal.traders.service import NewRequisite, set_working
from tests.scene import USDT, build_scene, made_requisite, made_trader

PAYIN = {"direction": "payin", "amount": "1500.00", "currency": "RUB", "method": "card"}


def card_number() -> str:
    """A number that no other test has, in this run or an earlier one."""
    body = f"4222{secrets.randbelow(10**11):011d}"
    return next(body + digit for digit in "0123456789" if luhn.is_valid(body + digit))


@dataclass
class Shop:
    """One store and what a merchant's program needs to call the API for it."""

    app: Flask
    store_id: uuid.UUID
    team_id: uuid.UUID
    key: str
    live_key: str

    def call(self, method: str, path: str, **options: Any) -> TestResponse:
        """A request with the test key (`key=None` sends none), as JSON when there is a `body`."""
        headers = dict(options.pop("headers", {}))
        key = options.pop("key", self.key)
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        if "body" in options:
            options["data"] = json.dumps(options.pop("body"))
            headers.setdefault("Content-Type", "application/json")
        if "raw" in options:
            options["data"] = options.pop("raw")
            headers.setdefault("Content-Type", "application/json")
        # A context of its own, as a server gives each request: nothing carries over in g or in the session.
        with self.app.app_context():
            return self.app.test_client().open(path, method=method, headers=headers, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.call("GET", path, **options)

    def post(self, path: str, body: Any = None, *, idem: str | None = "new", **options: Any) -> TestResponse:
        headers = dict(options.pop("headers", {}))
        if idem is not None:
            headers["Idempotency-Key"] = uuid.uuid4().hex if idem == "new" else idem
        if body is not None:
            options["body"] = body
        return self.call("POST", path, headers=headers, **options)

    def create(self, idem: str | None = "new", **changes: Any) -> TestResponse:
        return self.post("/api/v1/orders", PAYIN | changes, idem=idem)

    def order(self, **changes: Any) -> dict[str, Any]:
        answer = self.create(**changes)
        assert answer.status_code == 201, answer.json
        return dict(answer.json or {})

    def payout(self, amount: str = "1500.00") -> dict[str, Any]:
        recipient = {"method": "card", "bank": "sber", "number": card_number(), "holder": "IVAN P."}
        body = {"direction": "payout", "amount": amount, "currency": "RUB", "recipient": recipient}
        answer = self.post("/api/v1/orders", body)
        assert answer.status_code == 201, answer.json
        return dict(answer.json or {})

    def drive(self, order: dict[str, Any], action: str, **body: Any) -> TestResponse:
        return self.post(f"/api/v1/test/orders/{order['id']}/{action}", body, idem=None)

    def key_with(self, *scopes: Scope, mode: Mode = Mode.TEST, **options: Any) -> str:
        with transaction():
            return issue_api_key(self.store_id, mode, "of a test", scopes, **options)[1]

    def trader(self, deposit_minor: int = 100_000 * USDT, **limits: Any) -> Trader:
        """A test trader with one card that takes and pays."""
        values = {"min_amount": 100_00, "max_amount": 100_000_00, "max_open_orders": 1000} | limits
        new = NewRequisite(
            method="card", currency="RUB", number=card_number(), holder="TESS T.", bank="sber", **values
        )
        trader = made_trader("Tess", self.team_id, Mode.TEST, deposit_minor)
        made_requisite(trader, new)
        return trader

    def fund(self, minor: int = 1000 * USDT) -> None:
        with transaction():
            account = account_id(store_account(self.store_id, AccountKind.AVAILABLE, "USDT", Mode.TEST))
            deposit_to_account(
                account, minor, "USDT", Mode.TEST, subject_id=new_id(), reference="test", actor=SYSTEM
            )

    def count_orders(self) -> int:
        with transaction():
            sql = "SELECT count(*) AS n FROM orders WHERE store_id = %(id)s"
            return int(hot(sql, {"id": self.store_id})[0]["n"])

    def state(self) -> tuple[Any, ...]:
        """What a refused request must leave as it was: orders, events, keys of what was done, postings."""
        sql = """
        SELECT (SELECT count(*) FROM orders WHERE store_id = %(id)s) AS orders,
               (SELECT coalesce(sum(version), 0) FROM orders WHERE store_id = %(id)s) AS versions,
               (SELECT count(*) FROM event WHERE store_id = %(id)s) AS events,
               (SELECT count(*) FROM idempotency_key WHERE store_id = %(id)s AND status < 400) AS keys,
               (SELECT coalesce(sum(a.balance), 0) FROM ledger_account a WHERE a.owner_id = %(id)s) AS balance
        """
        with transaction():
            return tuple(hot(sql, {"id": self.store_id})[0].values())


def code_of(answer: TestResponse) -> str:
    assert answer.content_type == "application/problem+json", (answer.status_code, answer.data)
    body = answer.json
    assert body is not None
    assert body["status"] == answer.status_code
    assert body["request_id"] == answer.headers["X-Request-Id"]
    return str(body["code"])


def field_codes(answer: TestResponse) -> dict[str, str]:
    assert answer.status_code == 422, (answer.status_code, answer.data)
    return {problem["field"]: problem["code"] for problem in (answer.json or {}).get("errors", [])}


@pytest.fixture
def app(committing_app: Flask) -> Flask:
    """What is committed here stays: each test has rows of its own."""
    return committing_app


@pytest.fixture
def context(app: Flask) -> Iterator[Flask]:
    with nullcontext() if has_app_context() else app.app_context():
        for counter in (
            authentication.callers,
            authentication.strangers,
            authentication.refused,
            authentication.passwords,
        ):
            counter.forget()
        yield app
        db.session.rollback()


def open_shop(app: Flask) -> Shop:
    with transaction():
        scene = build_scene()
        _, key = issue_api_key(scene.store_id, Mode.TEST, "test key")
        _, live_key = issue_api_key(scene.store_id, Mode.LIVE, "live key")
    return Shop(app, scene.store_id, scene.team_id, key, live_key)


@pytest.fixture
def shop(context: Flask) -> Shop:
    """A store without a trader: its payins wait in `matching`."""
    with transaction():
        # Test orders go to whoever works in test mode: nobody left over from another test.
        for row in hot("SELECT id FROM trader WHERE mode = 'test' AND is_working"):
            set_working(row["id"], False)
    return open_shop(context)


@pytest.fixture
def other_shop(context: Flask, shop: Shop) -> Shop:
    return open_shop(context)


@pytest.fixture
def served(shop: Shop) -> Shop:
    """The same store with a trader of its own."""
    shop.trader()
    return shop


def order_uuid(order: dict[str, Any]) -> uuid.UUID:
    parsed = parse_public_id("ord", order["id"])
    assert parsed is not None
    return parsed
