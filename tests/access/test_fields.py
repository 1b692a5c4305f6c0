"""Who sees which fields: what a merchant, a program and a payer are told, key by key (rows 65 and 67)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from portal.core.crypto import derived_token
from portal.core.db import hot, transaction
from portal.core.ids import public_id
from portal.core.modes import Mode
from portal.identity.models import Scope
from portal.identity.tokens.api_keys import issue_api_key
from portal.orders.queries import get_order, requisite_number_of
from portal.web.shared.orders.page import raw_of
from tests.access.world import World
from tests.web.desk import Desk, open_desk

# An order as its merchant's program sees it. Whoever adds a key here has thought about who may know it.
ORDER = {
    "id", "object", "mode", "status", "status_reason", "final", "direction", "amount", "currency", "amount_received",
    "amount_reported",
    "settlement", "requisite", "payment_url", "external_id", "customer", "metadata", "match_by", "pay_by",
    "confirm_by", "created_at", "updated_at", "method", "bank", "recipient", "description", "locale", "return_url",
    "version",
}  # fmt: skip
HIDDEN = (
    "trader",
    "commission",
    "profit",
    "margin",
    "payer",
    "match_trace",
    "requisite_id",
    "lead",
    "secret",
    "hash",
)


@pytest.fixture
def app(committing_app: Flask) -> Iterator[Flask]:
    with committing_app.app_context():
        yield committing_app


@pytest.fixture
def desk(app: Flask) -> Desk:
    return open_desk(app)


@pytest.mark.proves("ASVS 34", "ASVS 39")
def test_a_merchants_program_sees_these_keys_of_an_order_and_no_other(desk: Desk) -> None:
    order = desk.payin()
    with transaction():
        _, key = issue_api_key(desk.scene.store_id, Mode.LIVE, "fields", [Scope.ORDERS_READ])
    headers = {"Authorization": f"Bearer {key}"}
    answer = desk.app.test_client().get(f"/api/v1/orders/{public_id('ord', order.id)}", headers=headers)
    assert answer.status_code == 200
    told = json.loads(answer.data)
    assert set(told) <= ORDER, set(told) - ORDER
    assert set(told["settlement"]) == {"currency", "amount", "rate", "rate_source", "rate_at", "fee", "net"}
    assert set(told["requisite"]) == {"method", "bank", "number", "holder"}
    assert not [
        word for word in HIDDEN if re.search(rf'"[a-z_]*{word}[a-z_]*":', answer.get_data(as_text=True))
    ]


@pytest.mark.proves("tried S8")
def test_a_key_that_only_reads_gets_nothing_that_acts(desk: Desk) -> None:
    order = desk.payin()
    path = f"/api/v1/orders/{public_id('ord', order.id)}"
    with transaction():
        number = requisite_number_of(get_order(order.id))
        every = set(Scope) - {Scope.ORDERS_WRITE}
        _, reading = issue_api_key(desk.scene.store_id, Mode.LIVE, "reads", every)
        _, writing = issue_api_key(desk.scene.store_id, Mode.LIVE, "writes", Scope)
    assert number is not None

    def told(key: str, method: str, where: str, **more: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {key}"} | more.pop("headers", {})
        return desk.app.test_client().open(where, method=method, headers=headers, **more)

    new = {"direction": "payin", "amount": "1500.00", "currency": "RUB", "external_id": "shown once"}
    create = {"json": new, "headers": {"Idempotency-Key": "once"}}
    created = told(writing, "POST", "/api/v1/orders", **create)
    assert created.status_code == 201
    token = told(
        reading,
        "POST",
        "/merchant/auth/token",
        json={"grant_type": "client_credentials", "client_secret": reading},
    )
    for key in (reading, (token.json or {})["access_token"]):
        read, listed = told(key, "GET", path), told(key, "GET", "/api/v1/orders")
        replayed = told(key, "POST", "/api/v1/orders", **create)
        cancelled = told(key, "POST", f"{path}/cancel", headers={"Idempotency-Key": "x"}, json={})
        assert (read.status_code, listed.status_code) == (200, 200)
        assert (replayed.status_code, cancelled.status_code) == (403, 403)
        assert (read.json or {})["payment_url"] is None
        assert (read.json or {})["requisite"]["number"] == order.requisite_masked
        for answer in (read, listed, replayed, cancelled):
            assert number not in answer.text
            assert "/pay/" not in answer.text
    own = told(writing, "GET", path).json or {}
    assert own["requisite"]["number"] == number
    assert own["payment_url"].endswith(derived_token("payment", order.id))
    assert all(one["payment_url"] for one in (told(writing, "GET", "/api/v1/orders").json or {})["data"])


@pytest.mark.proves("tried S8")
def test_neither_the_raw_view_nor_the_command_hands_out_the_payment_link_or_the_number(desk: Desk) -> None:
    order = desk.payin()
    link = derived_token("payment", order.id)
    with transaction():
        raw, number = raw_of(get_order(order.id)), requisite_number_of(get_order(order.id))
    assert number is not None
    printed = desk.app.test_cli_runner().invoke(args=["orders", "show", public_id("ord", order.id)])
    assert printed.exit_code == 0
    for text in (raw, printed.output):
        assert public_id("ord", order.id) in text
        assert link not in text
        assert number not in text


@pytest.mark.proves("attack 65")
def test_row_65_a_list_is_sorted_and_filtered_by_its_own_columns_alone(app: Flask) -> None:
    world = World(app)
    admin = world.visitors["admin"]
    plain = admin.open("GET", "/admin/orders")
    assert plain.status_code == 200
    for query in (
        "sort=password_hash",
        "sort=payer_encrypted",
        "sort=1;select",
        "columns=payer_encrypted",
        "fields=*",
    ):
        answer = admin.open("GET", f"/admin/orders?{query}")
        assert answer.status_code == 400, query
        text = answer.get_data(as_text=True)
        # The refusal says back what it does not know, and shows nothing of any row.
        assert "argon2" not in text
        assert "<table" not in text


@pytest.mark.proves("attack 67")
def test_row_67_a_payment_page_opens_by_its_own_token_alone(desk: Desk) -> None:
    order, other = desk.payin(), desk.payin(1600_00)
    client = desk.app.test_client()
    own, foreign = (derived_token("payment", one.id) for one in (order, other))
    assert len(own) >= 26  # 128 bits in base 32
    assert own != foreign
    assert client.get(f"/pay/{own}").status_code == 200
    guesses = (
        own[:-1],
        own[:-2] + "aa",
        own.upper(),
        public_id("ord", order.id),
        str(order.id),
        "a" * 26,
    )
    for guess in guesses:
        assert client.get(f"/pay/{guess}").status_code == 404, guess
        assert client.get(f"/pay/{guess}/status").status_code == 404, guess


@pytest.mark.proves("attack 67")
def test_row_67_a_page_that_is_over_tells_nothing_of_whom_to_pay(desk: Desk) -> None:
    order = desk.payin()
    url = f"/pay/{derived_token('payment', order.id)}"
    client = desk.app.test_client()
    last4 = desk.requisite.number_last4
    assert last4 in client.get(url).get_data(as_text=True)
    with transaction():
        hot("UPDATE orders SET due_at = now() - interval '1 second' WHERE id = %(id)s", {"id": order.id})
    from portal.orders.service.deadlines import act_on_deadline

    with transaction():
        act_on_deadline(get_order(order.id, lock=True))
    page = client.get(url).get_data(as_text=True)
    assert last4 not in page
    assert "TARA" not in page
