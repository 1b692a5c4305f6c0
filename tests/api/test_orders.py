"""Orders over the API: created, read, listed, claimed, cancelled, confirmed."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from PIL import Image

from portal.api.v1.orders_answers import OrderOut
from portal.core.db import hot, transaction
from portal.core.modes import Mode
from portal.ledger.models import AccountKind, OwnerKind
from portal.ledger.queries import balance_minor
from portal.merchants.models import Store
from portal.merchants.queries import stores
from tests.api.conftest import PAYIN, Shop, card_number, code_of, field_codes, order_uuid


def available(shop: Shop) -> int:
    with transaction():
        return balance_minor(OwnerKind.STORE, shop.store_id, AccountKind.AVAILABLE, "USDT", Mode.TEST)


def test_a_payin_comes_back_with_its_requisite_and_its_price(served: Shop) -> None:
    order = served.order(
        external_id="shop-1001", customer={"id": "c-77", "ip": "203.0.113.7"}, metadata={"cart": "9f"}
    )
    OrderOut.model_validate(order)
    assert (order["status"], order["mode"], order["amount"]) == ("awaiting_payment", "test", "1500.00")
    settlement = order["settlement"]
    assert (settlement["amount"], settlement["rate"], settlement["fee"], settlement["net"]) == (
        "15.789474", "95.000000", "0.473684", "15.315790",
    )  # fmt: skip
    assert order["requisite"]["number"].startswith("4222")
    assert order["requisite"]["holder"] == "TESS T."
    assert order["payment_url"].startswith("http")
    assert (order["external_id"], order["customer"], order["metadata"]) == (
        "shop-1001",
        {"id": "c-77"},
        {"cart": "9f"},
    )


def test_the_answer_is_the_order_as_it_is_read_afterwards(served: Shop) -> None:
    """The database fills in times, status and requisite; reading renders them anew."""
    created = served.create(external_id="shop-1").json or {}
    assert created["status"] == "awaiting_payment"
    assert served.get(f"/api/v1/orders/{created['id']}").json == created


def test_the_answer_of_a_waiting_payin_is_the_order_too(shop: Shop) -> None:
    created = shop.create().json or {}
    assert created["status"] == "matching"
    assert shop.get(f"/api/v1/orders/{created['id']}").json == created


def test_what_a_client_writes_is_never_taken_for_a_mark(served: Shop) -> None:
    words = ["status", "now", "requisite", "number", "bank", "holder", "match_by", "pay_by"]
    metadata = {f"k{n}": "\\u0000" + word for n, word in enumerate(words)}
    created = served.create(metadata=metadata, description='"\\u0000number"').json or {}
    assert created["metadata"] == metadata
    assert created["description"] == '"\\u0000number"'
    assert served.get(f"/api/v1/orders/{created['id']}").json == created


def test_a_payin_that_nobody_takes_waits(shop: Shop) -> None:
    order = shop.order()
    assert (order["status"], order["requisite"]) == ("matching", None)


def test_the_whole_road_of_a_payin_pays_the_store(served: Shop) -> None:
    order = served.order()
    for action, status in (("pay", "awaiting_confirmation"), ("confirm", "completed")):
        assert (served.drive(order, action).json or {})["status"] == status
    done = served.get(f"/api/v1/orders/{order['id']}").json or {}
    assert (done["final"], done["amount_received"]) == (True, "1500.00")
    assert available(served) == 15_315_790
    balances = (served.get("/api/v1/balances").json or {})["data"]
    assert balances == [{"currency": "USDT", "available": "15.315790", "held": "0.000000"}]
    entry = (served.get("/api/v1/balances/entries").json or {})["data"][0]
    assert (entry["kind"], entry["amount"], entry["subject_id"]) == (
        "payin_completed",
        "15.315790",
        order["id"],
    )


def test_another_amount_is_settled_as_received(served: Shop) -> None:
    order = served.order()
    asked = served.drive(order, "confirm", amount_received="950.00").json or {}
    assert (asked["status"], asked["amount_reported"], asked["amount_received"]) == (
        "awaiting_confirmation", "950.00", None,
    )  # fmt: skip
    done = served.drive(order, "agree").json or {}
    assert (done["amount"], done["amount_received"], done["settlement"]["amount"]) == (
        "1500.00",
        "950.00",
        "10.000000",
    )
    assert available(served) == 9_700_000


@pytest.mark.proves("tried S3")
def test_a_shop_that_cancels_while_the_customer_is_asked_reads_why_it_cannot(served: Shop) -> None:
    order = served.order()
    served.drive(order, "confirm", amount_received="950.00")
    refused = served.post(f"/api/v1/orders/{order['id']}/cancel", {})
    assert (refused.status_code, code_of(refused)) == (409, "payment_reported")
    said = refused.json or {}
    assert said["order_status"] == "awaiting_confirmation"
    assert "the customer is asked whether they sent it" in said["detail"]
    assert "open a dispute" in said["detail"]


def test_the_number_is_shown_only_while_it_is_to_be_paid_to(served: Shop) -> None:
    order = served.order()
    full = order["requisite"]["number"]
    assert len(full) == 16
    listed = (served.get("/api/v1/orders").json or {})["data"][0]
    assert full not in str(listed)
    served.drive(order, "confirm")
    assert full not in str(served.get(f"/api/v1/orders/{order['id']}").json)


def test_a_method_left_open_is_chosen_later(served: Shop) -> None:
    order = served.order(method=None)
    assert (order["status"], order["method"]) == ("matching", None)
    path = f"/api/v1/orders/{order['id']}/method"
    assert field_codes(served.post(path, {"method": "sepa"})) == {"method": "unknown"}
    assert field_codes(served.post(path, {"method": "card", "bank": "kaspi"})) == {"bank": "unknown"}
    chosen = served.post(path, {"method": "card"}).json or {}
    assert (chosen["status"], chosen["method"]) == ("awaiting_payment", "card")
    assert served.post(path, {"method": "card"}).status_code == 200
    assert code_of(served.post(path, {"method": "sbp", "bank": "sber"})) == "method_already_chosen"


def test_a_claim_keeps_the_payers_details_encrypted(served: Shop) -> None:
    order = served.order()
    payer = {"name": "Ivan P.", "last4": "1234", "bank": "Sber", "reference": "ref-9"}
    claimed = served.post(f"/api/v1/orders/{order['id']}/claim", {"payer": payer}, idem=None).json or {}
    assert (claimed["status"], claimed["confirm_by"] is not None) == ("awaiting_confirmation", True)
    with transaction():
        stored = hot("SELECT payer_encrypted FROM orders WHERE id = %(id)s", {"id": order_uuid(order)})
    assert stored[0]["payer_encrypted"] is not None
    assert b"Ivan" not in bytes(stored[0]["payer_encrypted"])


def test_a_claim_needs_no_body_and_no_key(served: Shop) -> None:
    order = served.order()
    assert served.post(f"/api/v1/orders/{order['id']}/claim", idem=None).status_code == 200


@pytest.mark.parametrize("last4", ["12", "12345", "abcd", "１２３４"])
def test_last4_is_four_digits(served: Shop, last4: str) -> None:
    order = served.order()
    answer = served.post(f"/api/v1/orders/{order['id']}/claim", {"payer": {"last4": last4}})
    assert field_codes(answer) == {"payer.last4": "malformed"}


def test_a_cancelled_payin_gives_the_hold_back(served: Shop) -> None:
    order = served.order()
    cancelled = served.post(f"/api/v1/orders/{order['id']}/cancel", {"reason": "changed my mind"}).json or {}
    assert (cancelled["status"], cancelled["status_reason"], cancelled["final"]) == (
        "cancelled",
        "changed my mind",
        True,
    )
    with transaction():
        row = hot("SELECT hold_minor, due_at FROM orders WHERE id = %(id)s", {"id": order_uuid(order)})[0]
    assert (row["hold_minor"], row["due_at"]) == (0, None)


def test_what_was_claimed_can_not_be_cancelled(served: Shop) -> None:
    order = served.order()
    served.drive(order, "pay")
    before = served.state()
    answer = served.post(f"/api/v1/orders/{order['id']}/cancel", {})
    assert (answer.status_code, code_of(answer)) == (409, "invalid_transition")
    assert (answer.json or {})["order_status"] == "awaiting_confirmation"
    assert served.state()[:3] == before[:3]


@pytest.mark.proves("ASVS 3")
def test_row_32_a_payin_is_not_the_merchants_to_confirm(served: Shop) -> None:
    order = served.order()
    before = served.state()
    answer = served.post(f"/api/v1/orders/{order['id']}/confirm", {})
    assert (answer.status_code, code_of(answer)) == (409, "invalid_transition")
    assert served.state() == before


def test_the_whole_road_of_a_payout_spends_the_stores_balance(served: Shop) -> None:
    served.fund(100_000_000)
    order = served.payout("950.00")
    OrderOut.model_validate(order)
    assert (order["status"], order["settlement"]["amount"], order["settlement"]["net"]) == (
        "matching",
        "10.000000",
        "10.300000",
    )
    assert order["recipient"]["holder"] == "IVAN P."
    assert len(order["recipient"]["number"].strip("•* ")) < 16
    assert available(served) == 100_000_000 - 10_300_000
    assert (served.drive(order, "pay").json or {})["status"] == "awaiting_confirmation"
    done = served.post(f"/api/v1/orders/{order['id']}/confirm", {}).json or {}
    assert (done["status"], done["final"]) == ("completed", True)
    assert available(served) == 100_000_000 - 10_300_000
    again = served.post(f"/api/v1/orders/{order['id']}/confirm", {})
    assert again.status_code == 200
    assert available(served) == 100_000_000 - 10_300_000


@pytest.mark.proves("ASVS 4")
def test_a_payout_beyond_the_balance_is_409(served: Shop) -> None:
    before = served.state()
    recipient = {"method": "card", "bank": "sber", "number": card_number(), "holder": "IVAN P."}
    body = {"direction": "payout", "amount": "950.00", "currency": "RUB", "recipient": recipient}
    answer = served.post("/api/v1/orders", body)
    assert (answer.status_code, code_of(answer)) == (409, "insufficient_funds")
    assert served.state() == before


@pytest.mark.parametrize(
    ("recipient", "field", "code"),
    [(None, "recipient", "required"), ({"number": "4111111111111112"}, "recipient.number", "wrong_checksum"),
     ({"number": "hello world"}, "recipient.number", "malformed"), ({"method": "upi"}, "recipient.method", "unknown"),
     ({"bank": "kaspi"}, "recipient.bank", "unknown"), ({"holder": ""}, "recipient.holder", "too_short"),
     ({"holder": "A\u202eB"}, "recipient.holder", "invalid_character")],
)  # fmt: skip
def test_a_payouts_recipient_is_checked(served: Shop, recipient: Any, field: str, code: str) -> None:
    good = {"method": "card", "bank": "sber", "number": "4111111111111111", "holder": "IVAN P."}
    body = {"direction": "payout", "amount": "950.00", "currency": "RUB"}
    before = served.state()
    answer = served.post(
        "/api/v1/orders", body if recipient is None else body | {"recipient": good | recipient}
    )
    assert field_codes(answer) == {field: code}
    assert served.state() == before


@pytest.mark.proves("tried S14")
@pytest.mark.parametrize("blank", ["", " ", "\u00a0", "\u3000", "\u2003 \u3000"])
def test_blanks_alone_are_no_number_and_no_name(shop: Shop, blank: str) -> None:
    answer = shop.create(external_id=blank, customer={"id": blank, "name": blank})
    codes = {"external_id": "too_short", "customer.id": "too_short", "customer.name": "too_short"}
    assert field_codes(answer) == codes


def test_a_payin_has_no_recipient(shop: Shop) -> None:
    recipient = {"method": "card", "number": "4111111111111111", "holder": "A"}
    assert field_codes(shop.create(recipient=recipient)) == {"recipient": "not_allowed"}


GOOD = [
    "https://shop.example/back",
    "https://shop.example",
    "https://SHOP.example:443/x?a=1#b",
    "HTTPS://shop.example/",
]
BAD = [
    "//shop.example", "/back", "https:shop.example", "javascript:alert(1)", "data:text/html,x", "https://shop.example@evil.test/",
    "https://shop.example.evil.test/", "https://evil.test#shop.example", "https://evil.test/?https://shop.example",
    "http://shop.example/", "https://shop.example:8443/", "https://user:pass@shop.example/", "https://shop.example\\@evil.test/",
    "https:\\\\shop.example", "https://shop.example\t.evil.test/", "https://shop.example\n", " https://shop.example/",
    "https://shop.example\u2024evil.test/", "https://ѕhop.example/", "https://www.shop.example/", "https://shop.example./",
    "https:///shop.example", "https://", "https://shop.example:/", "https://[::1]/", "https://shop.example:99999/", "x" * 3000,
]  # fmt: skip


@pytest.mark.parametrize("url", GOOD)
def test_row_86_a_registered_origin_may_be_returned_to(shop: Shop, url: str) -> None:
    assert shop.order(return_url=url)["return_url"] == url


@pytest.mark.proves("ASVS 17")
@pytest.mark.parametrize("url", BAD)
def test_row_86_no_other_address_may_be_returned_to(shop: Shop, url: str) -> None:
    before = shop.state()
    assert set(field_codes(shop.create(return_url=url))) == {"return_url"}
    assert shop.state() == before


def test_lists_are_newest_first_and_pages_do_not_overlap(shop: Shop) -> None:
    made = [shop.order(amount=f"{1000 + n}.00")["id"] for n in range(7)]
    seen, cursor = [], ""
    for _ in range(4):
        page = shop.get(f"/api/v1/orders?limit=2{cursor}").json or {}
        seen += [order["id"] for order in page["data"]]
        if not page["has_more"]:
            break
        cursor = f"&cursor={page['next_cursor']}"
        shop.order(amount=f"{5000 + len(seen)}.00")  # what comes in meanwhile moves nothing
    assert seen == made[::-1]
    assert page["next_cursor"] is None


@pytest.mark.parametrize("cursor", ["x", "AAAA", "%00", "a" * 64, "!!!!!!!!!!!!!!!!!!!!!!", "ééé"])
def test_a_made_up_cursor_is_422(shop: Shop, cursor: str) -> None:
    assert field_codes(shop.get("/api/v1/orders", query_string={"cursor": cursor})) == {"cursor": "malformed"}


def test_a_strangers_cursor_shows_nothing_of_theirs(shop: Shop, other_shop: Shop) -> None:
    for n in range(3):
        shop.order(amount=f"{1000 + n}.00")
    cursor = (shop.get("/api/v1/orders?limit=1").json or {})["next_cursor"]
    assert (other_shop.get(f"/api/v1/orders?cursor={cursor}").json or {})["data"] == []


def test_filters_narrow(served: Shop) -> None:
    first, second = served.order(external_id="a-1"), served.order(amount="2000.00")
    served.drive(second, "confirm")

    def ids(**query: str) -> list[str]:
        answer = served.get("/api/v1/orders", query_string=query)
        assert answer.status_code == 200, answer.json
        return [order["id"] for order in (answer.json or {})["data"]]

    assert ids(external_id="a-1") == [first["id"]]
    assert ids(status="completed") == [second["id"]]
    assert ids(direction="payout") == []
    hour = timedelta(hours=1)
    now = datetime.now(UTC)
    assert ids(created_from=(now - hour).isoformat()) == [second["id"], first["id"]]
    assert ids(created_from=(now + hour).isoformat()) == []
    assert ids(created_to=second["created_at"], created_from=first["created_at"]) == [first["id"]]


@pytest.mark.parametrize(
    ("query", "field"),
    [("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("limit=1e2", "limit"), ("status=paid", "status"),
     ("direction=up", "direction"), ("created_from=yesterday", "created_from"), ("created_from=1700000000", "created_from"),
     ("created_to=2026-01-01T00:00:00", "created_to"), ("created_to=2026-13-01T00:00:00Z", "created_to"),
     ("external_id=", "external_id")],
)  # fmt: skip
def test_filters_are_checked(shop: Shop, query: str, field: str) -> None:
    assert set(field_codes(shop.get(f"/api/v1/orders?{query}"))) == {field}


def _picture(colour: str = "white") -> io.BytesIO:
    drawn = io.BytesIO()
    Image.new("RGB", (40, 40), colour).save(drawn, "PNG")
    drawn.seek(0)
    return drawn


def attach(shop: Shop, order: dict[str, Any], content: io.BytesIO, **options: Any) -> Any:
    path = f"/api/v1/orders/{order['id']}/receipts"
    data = {"file": (content, "receipt.png")}
    return shop.post(path, data=data, content_type="multipart/form-data", **options)


def test_a_receipt_is_attached_and_moves_no_money(served: Shop) -> None:
    order = served.order()
    answer = attach(served, order, _picture())
    assert answer.status_code == 201, answer.json
    assert (answer.json["object"], answer.json["order_id"]) == ("receipt", order["id"])
    assert answer.json["content_type"].startswith("image/")
    assert (served.get(f"/api/v1/orders/{order['id']}").json or {})["status"] == "awaiting_payment"
    again = attach(served, order, _picture())
    assert again.json["id"] == answer.json["id"]


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"hello", 415), (b"", 422), (b"<svg xmlns=''/>", 415), (b"\x89PNG\r\n\x1a\nx", 422)],
)
def test_what_is_no_picture_is_refused(served: Shop, content: bytes, status: int) -> None:
    assert attach(served, served.order(), io.BytesIO(content)).status_code == status


def test_a_receipt_is_one_file_and_nothing_else(served: Shop) -> None:
    order = served.order()
    path = f"/api/v1/orders/{order['id']}/receipts"
    two = {"file": [(_picture(), "a.png"), (_picture("red"), "b.png")]}
    assert field_codes(served.post(path, data=two, content_type="multipart/form-data")) == {
        "file": "required"
    }
    extra = {"file": (_picture(), "a.png"), "status": "completed"}
    assert field_codes(served.post(path, data=extra, content_type="multipart/form-data")) == {
        "status": "unknown_field"
    }
    assert served.post(path, {"file": "x"}).status_code == 415


def test_a_receipt_over_the_limit_is_413(served: Shop) -> None:
    answer = attach(served, served.order(), io.BytesIO(b"\x89PNG\r\n\x1a\n" + b"0" * (11 * 1024 * 1024)))
    assert (answer.status_code, code_of(answer)) == (413, "file_too_large")


def test_a_store_that_wants_receipts_gets_no_claim_without(served: Shop) -> None:
    with transaction():
        Store.query.filter_by(id=served.store_id).update({"receipt_required": True})
        stores.changed()
    order = served.order()
    path = f"/api/v1/orders/{order['id']}/claim"
    assert code_of(served.post(path, {})) == "proof_missing"
    attach(served, order, _picture())
    assert served.post(path, {}).status_code == 200


def test_availability_says_what_would_match(served: Shop) -> None:
    def ask(amount: str, **query: str) -> dict[str, Any]:
        query = {"direction": "payin", "currency": "RUB", "method": "card", "amount": amount} | query
        answer = served.get("/api/v1/availability", query_string=query)
        assert answer.status_code == 200, answer.json
        return dict((answer.json or {})["methods"][0])

    assert ask("1500.00")["available"] is True
    before = served.state()
    assert ask("100000.01") == {
        "method": "card",
        "available": False,
        "nearest_below": "100000.00",
        "nearest_above": None,
    }
    assert served.state() == before
    served.order()
    taken = ask("1500.00")
    assert (taken["available"], taken["nearest_below"], taken["nearest_above"]) == (
        False,
        "1499.99",
        "1500.01",
    )
    assert ask("1500.00", direction="payout")["available"] is False
    served.fund()
    assert ask("1500.00", direction="payout")["available"] is True
    assert field_codes(served.get("/api/v1/availability?direction=payin&currency=RUB")) == {
        "amount": "required"
    }


def test_no_rate_is_503_with_retry_after(shop: Shop) -> None:
    answer = shop.create(currency="UZS", amount="500000.00")
    assert (answer.status_code, code_of(answer)) == (503, "rate_unavailable")
    assert int(answer.headers["Retry-After"]) > 0


def test_the_body_is_stored_as_it_was_asked(shop: Shop) -> None:
    order = shop.order(
        description="Two\nlines", locale="ru", customer={"id": "c", "name": "Ёж", "email": "a@b.test"}
    )
    assert (order["description"], order["locale"]) == ("Two\nlines", "ru")
    assert "a@b.test" not in str(shop.get(f"/api/v1/orders/{order['id']}").json)
    assert PAYIN["amount"] == order["amount"]
