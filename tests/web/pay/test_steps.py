"""Choosing, claiming, attaching, cancelling: works, repeated, invalid, forged, too late."""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any

import orjson
import pytest
from flask import Flask

from portal.core.actors import CUSTOMER, SYSTEM
from portal.core.crypto import decrypt
from portal.core.db import db, hot, transaction
from portal.core.files import get_files
from portal.disputes.models import DisputeReason
from portal.disputes.service import open_dispute
from portal.merchants.queries import stores
from portal.orders.service import cancel_order, claim_payin, confirm_payin
from portal.traders.models import Requisite
from portal.web.pay import guard
from tests.scene import Scene, counters
from tests.web.pay.customer import Customer, picture

CHANGES = (
    "/method", "/claim", "/receipts", "/cancellation", "/problem/other_amount", "/problem/paid_late",
    "/problem/wrong_requisite", "/agreement", "/disagreement",
)  # fmt: skip


def payer_of(customer: Customer) -> dict[str, Any]:
    order = customer.now()
    assert order.payer_encrypted is not None
    return orjson.loads(decrypt("orders", "payer", order.id, order.payer_encrypted))  # type: ignore[no-any-return]


def upload(content: bytes | None = None, name: str = "receipt.png") -> dict[str, Any]:
    return {"receipt": (BytesIO(picture() if content is None else content), name)}


def require_receipts(scene: Scene) -> None:
    with transaction():
        db.session.execute(
            db.text("UPDATE store SET receipt_required = true WHERE id = :id"), {"id": scene.store_id}
        )
        stores.changed()


# --- everybody ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", CHANGES)
def test_a_change_with_an_unknown_token_is_404(app: Flask, scene: Scene, path: str) -> None:
    token = "c" * 26
    answer = app.test_client().post(f"/pay/{token}{path}", data={"csrf_token": guard.csrf_token(token)})
    assert answer.status_code == 404


@pytest.mark.parametrize("path", CHANGES)
def test_a_change_without_the_forms_token_is_refused(customer: Customer, path: str) -> None:
    answer = customer.post(path, {"amount": "1500.00", "words": "x"}, csrf=False)
    assert answer.status_code == 403
    assert customer.now().version == customer.order.version
    assert "try again here" in answer.text


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}],
)
def test_a_change_from_another_site_is_refused(
    customer: Customer, path: str, headers: dict[str, str]
) -> None:
    answer = customer.post(path, {"amount": "1500.00", "words": "x"}, headers=headers)
    assert answer.status_code == 403
    assert customer.now().version == customer.order.version


@pytest.mark.parametrize("path", ["", *CHANGES])
def test_looking_at_an_address_changes_nothing(customer: Customer, path: str) -> None:
    assert customer.get(path).status_code in {200, 303}
    assert customer.now().version == customer.order.version


def test_the_token_of_one_payment_opens_no_form_of_another(
    customer: Customer, scene: Scene, app: Flask
) -> None:
    other = Customer(app.test_client(), scene.payin(1600_00))
    answer = customer.post("/claim", {"csrf_token": guard.csrf_token(other.token)}, csrf=False)
    assert answer.status_code == 403
    assert customer.now().status == "awaiting_payment"


@pytest.mark.proves("ASVS 8")
def test_a_storm_of_forms_is_slowed_down(customer: Customer) -> None:
    codes = [customer.post("/receipts").status_code for _ in range(40)]
    assert codes[0] == 422
    assert codes[-1] == 429


@pytest.mark.parametrize("path", CHANGES)
def test_a_final_payment_cannot_be_changed(customer: Customer, path: str) -> None:
    customer.drive(confirm_payin, None, actor=SYSTEM)
    before = customer.now()
    answer = customer.post(path, {"amount": "1500.00", "words": "x", "method": "card"} | upload())
    assert answer.status_code in {303, 409}
    assert customer.now() == before
    assert customer.receipts() == []
    assert customer.dispute() is None


# --- method -------------------------------------------------------------------------------------


def test_choosing_a_method_and_bank_finds_a_trader(undecided: Customer, requisite: Requisite) -> None:
    answer = undecided.post("/method", {"method": "card", "bank": "sber"})
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/pay/{undecided.token}")
    order = undecided.now()
    assert (order.status, order.method, order.bank) == ("awaiting_payment", "card", "sber")
    assert order.requisite_id == requisite.id
    assert counters(requisite)["open_orders"] == 1


def test_choosing_twice_keeps_the_first_choice(undecided: Customer, requisite: Requisite) -> None:
    undecided.post("/method", {"method": "card", "bank": "sber"})
    assert undecided.post("/method", {"method": "sbp", "bank": "tbank"}).status_code == 303
    assert undecided.now().method == "card"
    assert counters(requisite)["open_orders"] == 1


@pytest.mark.parametrize(
    "data",
    [{}, {"method": "cash"}, {"method": "sepa"}, {"method": "card", "bank": "nobank"}, {"method": "sbp"}],
)
def test_a_method_that_cannot_be_used_is_422_and_asks_again(
    undecided: Customer, data: dict[str, str]
) -> None:
    answer = undecided.post("/method", data)
    assert answer.status_code == 422
    assert "Choose one of the ways to pay" in answer.text
    assert undecided.now().method is None


@pytest.mark.proves("tried S18")
def test_a_method_that_does_not_take_the_amount_is_neither_offered_nor_accepted(
    app: Flask, scene: Scene, requisite: Requisite
) -> None:
    with transaction():
        db.session.merge(requisite).max_amount = 2_000_000_00
    undecided = Customer(app.test_client(), scene.payin(700_000_00, method=None))
    assert 'value="card"' not in undecided.get().text
    assert "method=card" not in undecided.get().text
    answer = undecided.post("/method", {"method": "card", "bank": "sber"})
    assert answer.status_code == 422
    assert "This way to pay does not take this amount" in answer.text
    assert undecided.now().method is None


# --- claim --------------------------------------------------------------------------------------


def test_a_claim_starts_the_traders_time(customer: Customer) -> None:
    answer = customer.client.post(
        f"/pay/{customer.token}/claim", data={"csrf_token": customer.token_in_page()}
    )
    assert answer.status_code == 303
    order = customer.now()
    assert order.status == "awaiting_confirmation"
    assert order.confirm_by is not None
    assert order.payer_encrypted is None


def test_a_claim_keeps_payer_details_encrypted(customer: Customer) -> None:
    typed = {"name": " Ivan  P. ", "last4": "1234", "bank": "Альфа", "reference": "77"}
    hidden = customer.post("/claim", typed | {"name": "Ivan\u202e\x00 P."})
    assert hidden.status_code == 422
    assert "Something you wrote holds characters that can" in hidden.text
    assert customer.now().status == "awaiting_payment"
    customer.post("/claim", typed)
    assert payer_of(customer) == {"name": "Ivan P.", "last4": "1234", "bank": "Альфа", "reference": "77"}


def test_a_claim_with_a_receipt_keeps_both(customer: Customer) -> None:
    assert customer.post("/claim", upload()).status_code == 303
    (receipt,) = customer.receipts()
    assert (receipt["kind"], receipt["content_type"], receipt["actor_kind"]) == (
        "payment",
        "image/jpeg",
        "customer",
    )
    assert customer.now().status == "awaiting_confirmation"


def test_a_second_click_changes_nothing_twice(customer: Customer) -> None:
    customer.post("/claim", {"name": "Ivan"} | upload())
    before = customer.now()
    again = customer.post("/claim", {"name": "Somebody else"} | upload(picture("other")))
    assert again.status_code == 303
    assert customer.now() == before
    assert len(customer.receipts()) == 1
    assert customer.events().count("claimed") == 1


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("last4", "12a4", "exactly four digits"),
        ("last4", "12345", "exactly four digits"),
        ("name", "x" * 121, "too long"),
        ("reference", "x" * 141, "too long"),
    ],
)
def test_a_wrong_field_is_422_beside_the_field_and_keeps_what_was_typed(
    customer: Customer, field: str, value: str, words: str
) -> None:
    answer = customer.post("/claim", {"bank": "My <bank>", field: value})
    assert answer.status_code == 422
    assert words in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert 'value="My &lt;bank&gt;"' in answer.text
    assert "<details open>" in answer.text
    assert customer.now().status == "awaiting_payment"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"<html><script>alert(1)</script>", "JPEG, PNG, WebP"),
        (b"GIF89a" + b"\x00" * 60, "JPEG, PNG, WebP"),
        (picture()[:900], "could not be read"),
    ],
)
def test_a_file_that_is_no_receipt_is_refused_beside_its_field(
    customer: Customer, content: bytes, words: str
) -> None:
    answer = customer.post("/claim", upload(content))
    assert answer.status_code == 422
    assert words in answer.text
    assert customer.now().status == "awaiting_payment"
    assert customer.receipts() == []


@pytest.mark.proves("ASVS 21")
def test_a_file_beyond_the_limit_of_a_request_is_413_with_a_way_on(customer: Customer) -> None:
    answer = customer.post("/claim", upload(b"\x89PNG\r\n\x1a\n" + b"0" * (13 * 1024 * 1024)))
    assert answer.status_code == 413
    assert "send a screenshot instead" in answer.text
    assert customer.now().status == "awaiting_payment"


def test_a_store_may_require_the_receipt(customer: Customer, scene: Scene) -> None:
    require_receipts(scene)
    refused = customer.post("/claim", {"name": "Ivan"})
    assert refused.status_code == 422
    assert "The shop asks for a receipt" in refused.text
    assert 'value="Ivan"' in refused.text
    assert customer.post("/claim", {"name": "Ivan"} | upload()).status_code == 303
    assert customer.now().status == "awaiting_confirmation"


def test_a_claim_after_the_time_is_over_leads_to_the_late_road(customer: Customer) -> None:
    customer.run_out()
    answer = customer.post("/claim")
    assert answer.status_code == 409
    assert "I did pay" in answer.text
    assert customer.now().status == "expired"


# --- receipts -----------------------------------------------------------------------------------


def test_a_receipt_can_follow_the_claim_and_be_seen_again(customer: Customer) -> None:
    customer.drive(claim_payin, None, actor=CUSTOMER)
    assert customer.post("/receipts", upload()).status_code == 303
    page = customer.get().text
    address = page.split('href="', 1)[1] and page[page.index("/receipts/") :].split('"')[0]
    file = customer.get(address)
    assert file.status_code == 200
    assert file.headers["Content-Disposition"].startswith('attachment; filename="receipt-')
    assert file.headers["Content-Security-Policy"].startswith("sandbox")
    assert file.headers["X-Content-Type-Options"] == "nosniff"
    assert file.headers["Cache-Control"] == "no-store"
    assert file.data[:3] == b"\xff\xd8\xff"


def test_a_receipt_of_another_order_is_404(customer: Customer, scene: Scene, app: Flask) -> None:
    customer.post("/claim", upload())
    address = customer.get().text
    address = address[address.index("/receipts/") :].split('"')[0]
    stranger = Customer(app.test_client(), scene.payin(1700_00))
    assert stranger.get(address).status_code == 404
    assert customer.get("/receipts/rcp_nonsense").status_code == 404


def test_no_file_and_a_sixth_file_are_refused(customer: Customer) -> None:
    assert customer.post("/receipts").status_code == 422
    for number in range(5):
        assert customer.post("/receipts", upload(picture(f"{number}"))).status_code == 303
    answer = customer.post("/receipts", upload(picture("sixth")))
    assert answer.status_code == 409
    assert "enough receipts" in answer.text
    assert len(customer.receipts()) == 5


# --- cancellation -------------------------------------------------------------------------------


def test_cancelling_gives_the_requisite_back(customer: Customer, requisite: Requisite) -> None:
    assert customer.post("/cancellation").status_code == 303
    assert customer.now().status == "cancelled"
    assert counters(requisite)["open_orders"] == 0
    assert customer.post("/cancellation").status_code == 303
    assert customer.events().count("cancelled") == 1


@pytest.mark.parametrize("how", ["claimed", "disputed"])
def test_what_was_claimed_cannot_be_cancelled(customer: Customer, how: str) -> None:
    if how == "claimed":
        customer.drive(claim_payin, None, actor=CUSTOMER)
    else:
        customer.drive(open_dispute, DisputeReason.OTHER, None, None, actor=CUSTOMER)
    before = customer.now()
    answer = customer.post("/cancellation")
    assert answer.status_code == 409
    assert "This payment can't be cancelled any more" in answer.text
    assert customer.now() == before


def test_a_cancelled_payment_takes_no_claim(customer: Customer) -> None:
    customer.drive(cancel_order, None, actor=CUSTOMER)
    assert customer.post("/claim", upload()).status_code == 409
    assert customer.receipts() == []


def test_a_refused_claim_leaves_no_file_behind(
    customer: Customer, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    from portal.orders import receipts

    root = get_files()._root  # type: ignore[attr-defined]
    before = {path for path in root.glob("??/*") if path.is_file()}

    def broken(*_args: object) -> None:
        hot("SELECT no_such_column")

    monkeypatch.setattr(receipts, "_insert", broken)
    assert customer.post("/receipts", upload()).status_code == 500
    assert {path for path in root.glob("??/*") if path.is_file()} == before


@pytest.mark.proves("tried U6")
@pytest.mark.parametrize(
    ("language", "title", "heading"),
    [("en", "Error: Pay", "There is a problem"), ("ru", "Ошибка: ", "Не получилось")],
)
def test_everything_that_is_wrong_is_said_at_once_and_leads_to_its_field(
    customer: Customer, scene: Scene, language: str, title: str, heading: str
) -> None:
    require_receipts(scene)
    page = customer.post(f"/claim?lang={language}", {"last4": "12", "name": "x" * 200}).text
    assert f"<title>{title}" in page
    summary = page[page.index("data-problems") : page.index("</ul>", page.index("data-problems"))]
    assert heading in summary
    assert "autofocus data-problems" in page
    for field in ("name", "last4", "receipt"):
        assert f'href="#f-{field}"' in summary
        assert f'id="f-{field}"' in page
        assert re.search(rf'id="f-{field}"[^>]*aria-describedby="[^"]*\be-{field}"', page)
        assert f'id="e-{field}"' in page
    assert customer.now().status == "awaiting_payment"


@pytest.mark.proves("tried U6")
def test_a_wrong_way_to_pay_is_an_error_in_title_and_focus(undecided: Customer) -> None:
    page = undecided.post("/method", {"method": "cash"}).text
    assert "<title>Error: " in page
    assert re.search(r'autofocus data-problems>.*?<a href="#choices">', page, re.DOTALL)
