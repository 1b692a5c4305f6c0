""" "I have a problem": each of them ends in a verb that helps."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest

from portal.core.actors import CUSTOMER
from portal.orders.service import claim_payin
from tests.scene import Scene
from tests.web.pay.customer import Customer, picture
from tests.web.pay.test_steps import payer_of, require_receipts


def receipt() -> dict[str, Any]:
    return {"receipt": (BytesIO(picture("proof")), "r.png")}


def test_the_problems_offered_fit_the_state(customer: Customer) -> None:
    before = customer.get("/problem").text
    assert "I have not paid" in before
    assert "Nobody confirms" not in before
    customer.drive(claim_payin, None, actor=CUSTOMER)
    after = customer.get("/problem").text
    assert "I have not paid" not in after
    assert "Nobody confirms" in after
    assert customer.get("/problem/not_paid").status_code == 303


def test_after_expiry_there_is_one_problem(customer: Customer) -> None:
    customer.run_out()
    assert customer.get("/problem").headers["Location"] == f"/pay/{customer.token}/problem/paid_late"


def test_not_paid_offers_to_go_on_or_cancel(customer: Customer) -> None:
    page = customer.get("/problem/not_paid").text
    assert "There is still time" in page
    assert f'action="/pay/{customer.token}/cancellation"' in page


def test_another_amount_before_the_claim_is_a_claim_that_says_so(customer: Customer) -> None:
    answer = customer.post("/problem/other_amount", {"amount": "1 400,50", "name": "Ivan", "reference": "77"})
    assert answer.status_code == 303
    assert customer.now().status == "awaiting_confirmation"
    assert payer_of(customer)["reference"] == "sent 1400.50 RUB · 77"
    assert customer.dispute() is None


def test_another_amount_after_the_claim_is_a_dispute(customer: Customer) -> None:
    customer.drive(claim_payin, None, actor=CUSTOMER)
    assert customer.post("/problem/other_amount", {"amount": "1400"} | receipt()).status_code == 303
    dispute = customer.dispute()
    assert dispute is not None
    assert (dispute["reason"], dispute["claimed_minor"]) == ("paid_another_amount", 1400_00)
    assert len(customer.receipts()) == 1
    assert customer.now().status == "disputed"


def test_paid_late_opens_a_dispute_from_expired(customer: Customer) -> None:
    customer.run_out()
    data = {"amount": "1500", "paid_at": "today 12:30", "name": "Ivan", "words": "bank was slow"} | receipt()
    assert customer.post("/problem/paid_late", data).status_code == 303
    dispute = customer.dispute()
    assert dispute is not None
    assert (dispute["reason"], dispute["claimed_minor"]) == ("paid_late", 1500_00)
    assert dispute["words"] == "sent today 12:30 · bank was slow · Ivan"
    assert customer.now().status == "disputed"
    assert len(customer.receipts()) == 1


def test_a_wrong_number_opens_a_dispute_with_words(customer: Customer) -> None:
    assert customer.post("/problem/wrong_requisite", {"words": "sent to 4111"}).status_code == 303
    dispute = customer.dispute()
    assert dispute is not None
    assert (dispute["reason"], dispute["words"]) == ("wrong_requisite", "sent to 4111")


def test_a_second_report_changes_nothing(customer: Customer) -> None:
    customer.post("/problem/wrong_requisite", {"words": "first"})
    before = customer.now()
    assert customer.post("/problem/wrong_requisite", {"words": "second"}).status_code == 303
    assert customer.now() == before
    assert customer.dispute()["words"] == "first"  # type: ignore[index]


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        ("", "Give the amount"),
        ("abc", "in digits"),
        ("-5", "in digits"),
        ("1e5", "in digits"),
        ("0", "greater than zero"),
        ("1.234", "fewer decimals"),
        ("١٥٠٠", "in digits"),
        ("9999999999999999", "too large"),
    ],
)
def test_a_wrong_amount_is_422_and_keeps_what_was_typed(customer: Customer, amount: str, words: str) -> None:
    answer = customer.post("/problem/other_amount", {"amount": amount, "bank": "Mine"})
    assert answer.status_code == 422
    assert words in answer.text
    assert 'value="Mine"' in answer.text
    assert customer.now().status == "awaiting_payment"


def test_words_are_needed_for_a_wrong_number(customer: Customer) -> None:
    answer = customer.post("/problem/wrong_requisite", {"words": " \n "})
    assert answer.status_code == 422
    assert "in a few words" in answer.text
    assert customer.dispute() is None


def test_a_required_receipt_is_asked_for_here_too(customer: Customer, scene: Scene) -> None:
    require_receipts(scene)
    answer = customer.post("/problem/other_amount", {"amount": "1400", "name": "Ivan"})
    assert answer.status_code == 422
    assert "The shop asks for a receipt" in answer.text
    assert 'value="1400"' in answer.text


@pytest.mark.parametrize("trouble", ["nonsense", "not_paid", "not_confirmed"])
def test_what_is_no_report_is_404(customer: Customer, trouble: str) -> None:
    assert customer.post(f"/problem/{trouble}").status_code == 404


def test_paid_late_is_no_road_while_there_is_time(customer: Customer) -> None:
    answer = customer.post("/problem/paid_late", {"amount": "1500"})
    assert answer.status_code == 409
    assert customer.now().status == "awaiting_payment"
