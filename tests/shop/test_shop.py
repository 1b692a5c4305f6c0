"""The example shop: what a merchant copies must be right about retries, signatures, order and amounts."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pytest_httpserver import HTTPServer
from standardwebhooks import Webhook
from werkzeug import Request, Response

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
APP = Path(__file__).resolve().parents[2] / "examples" / "shop" / "app.py"


def load_shop() -> Any:
    spec = importlib.util.spec_from_file_location("example_shop", APP)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def shop(tmp_path: Path, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Flask:
    monkeypatch.setenv("NOSTRO_URL", httpserver.url_for("").rstrip("/"))
    monkeypatch.setenv("NOSTRO_API_KEY", "nst_live_x")
    monkeypatch.setenv("NOSTRO_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("SHOP_URL", "https://shop.example")
    monkeypatch.setenv("SHOP_DATABASE", str(tmp_path / "shop.sqlite3"))
    return load_shop().create_app()


@pytest.fixture
def visitor(shop: Flask) -> Iterator[FlaskClient]:
    with shop.test_client() as client:
        yield client


def order(purchase: str, status: str, version: int, received: str | None = None) -> dict[str, Any]:
    return {
        "object": "order", "id": "ord_1", "direction": "payin", "external_id": purchase, "status": status,
        "version": version, "amount_received": received, "payment_url": "https://pay.example/pay/abc",
    }  # fmt: skip


def buy(visitor: FlaskClient, httpserver: HTTPServer, purchase: str) -> Any:
    httpserver.expect_request("/api/v1/orders", method="POST").respond_with_json(
        order(purchase, "matching", 1), status=201
    )
    return visitor.post("/purchases", data={"purchase": purchase, "sku": "mug"})


def tell(
    visitor: FlaskClient, data: dict[str, Any], kind: str, message_id: str = "evt_1", secret: str = SECRET,
    sequence: int = 0,
) -> int:  # fmt: skip
    place = {"version": data["version"], "sequence": sequence}
    body = json.dumps({"id": message_id, "type": kind, **place, "data": data})
    now = datetime.now(UTC)
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, now, body),
    }
    return visitor.post("/webhooks/nostro", data=body, headers=headers).status_code


def shown(visitor: FlaskClient, purchase: str) -> str:
    found = re.search(r'data-status="(\w+)"', visitor.get(f"/purchases/{purchase}").text)
    assert found
    return found[1]


def test_buying_creates_one_order_and_leads_to_the_payment_page(
    visitor: FlaskClient, httpserver: HTTPServer
) -> None:
    purchase = str(uuid.uuid4())
    answer = buy(visitor, httpserver, purchase)
    assert (answer.status_code, answer.location) == (303, "https://pay.example/pay/abc")
    sent, _ = httpserver.log[0]
    assert sent.headers["Idempotency-Key"] == purchase
    assert sent.headers["Authorization"] == "Bearer nst_live_x"
    assert sent.json["amount"] == "1490.00"
    assert sent.json["return_url"] == f"https://shop.example/purchases/{purchase}"


@pytest.mark.proves("tried N5")
@pytest.mark.parametrize("turned", [False, True])
def test_of_two_messages_of_one_change_the_later_one_stays(
    visitor: FlaskClient, httpserver: HTTPServer, turned: bool
) -> None:
    purchase = str(uuid.uuid4())
    buy(visitor, httpserver, purchase)
    first = (order(purchase, "disputed", 4), "order.amount_changed", "evt_1", SECRET, 0)
    second = (order(purchase, "completed", 4, "1490.00"), "order.completed", "evt_2", SECRET, 1)
    for message in (second, first) if turned else (first, second):
        assert tell(visitor, *message) == 204
    assert shown(visitor, purchase) == "completed"


def test_a_retry_repeats_the_same_key(visitor: FlaskClient, httpserver: HTTPServer) -> None:
    purchase, keys = str(uuid.uuid4()), []

    def busy_once(request: Request) -> Response:
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) == 1:
            return Response("{}", 503, {"Retry-After": "0"})
        return Response(json.dumps(order(purchase, "matching", 1)), 201)

    httpserver.expect_request("/api/v1/orders").respond_with_handler(busy_once)
    answer = visitor.post("/purchases", data={"purchase": purchase, "sku": "mug"})
    assert answer.location == "https://pay.example/pay/abc"
    assert keys == [purchase, purchase]


def test_a_refused_order_says_so_and_charges_nobody(visitor: FlaskClient, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/api/v1/orders").respond_with_json({"code": "validation_failed"}, status=422)
    purchase = str(uuid.uuid4())
    answer = visitor.post("/purchases", data={"purchase": purchase, "sku": "mug"})
    assert answer.location.endswith(f"/purchases/{purchase}")
    assert shown(visitor, purchase) == "refused"


def test_only_a_signed_webhook_makes_it_paid(visitor: FlaskClient, httpserver: HTTPServer) -> None:
    purchase = str(uuid.uuid4())
    buy(visitor, httpserver, purchase)
    paid = order(purchase, "completed", 4, "1490.00")
    assert tell(visitor, paid, "order.completed", secret="whsec_" + "A" * 32) == 400
    assert shown(visitor, purchase) == "matching"
    assert tell(visitor, paid, "order.completed") == 204
    assert shown(visitor, purchase) == "completed"


def test_an_older_message_that_comes_late_changes_nothing(
    visitor: FlaskClient, httpserver: HTTPServer
) -> None:
    purchase = str(uuid.uuid4())
    buy(visitor, httpserver, purchase)
    tell(visitor, order(purchase, "completed", 4, "1490.00"), "order.completed", "evt_2")
    assert tell(visitor, order(purchase, "awaiting_confirmation", 3), "order.claimed", "evt_1") == 204
    assert shown(visitor, purchase) == "completed"


def test_the_same_webhook_twice_is_listed_once(visitor: FlaskClient, httpserver: HTTPServer) -> None:
    purchase = str(uuid.uuid4())
    buy(visitor, httpserver, purchase)
    for _ in range(2):
        assert tell(visitor, order(purchase, "awaiting_confirmation", 3), "order.claimed") == 204
    assert visitor.get(f"/purchases/{purchase}").text.count("order.claimed") == 1


def test_less_than_the_price_is_not_paid(visitor: FlaskClient, httpserver: HTTPServer) -> None:
    purchase = str(uuid.uuid4())
    buy(visitor, httpserver, purchase)
    tell(visitor, order(purchase, "completed", 4, "1400.00"), "order.completed")
    assert shown(visitor, purchase) == "underpaid"


def test_an_unknown_purchase_and_an_unknown_product_are_not_there(visitor: FlaskClient) -> None:
    assert visitor.get(f"/purchases/{uuid.uuid4()}").status_code == 404
    assert visitor.post("/purchases", data={"purchase": str(uuid.uuid4()), "sku": "yacht"}).status_code == 404


def test_the_challenge_of_a_new_address_is_given_back(visitor: FlaskClient) -> None:
    body = json.dumps({"id": "evt_9", "type": "endpoint.verification", "data": {"challenge": "abc"}})
    now = datetime.now(UTC)
    headers = {
        "webhook-id": "evt_9", "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("evt_9", now, body),
    }  # fmt: skip
    assert visitor.post("/webhooks/nostro", data=body, headers=headers).text == "abc"
