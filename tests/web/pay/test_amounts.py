"""The customer is asked whether another amount is what they sent: yes, no, twice, and to what they did not see."""

from __future__ import annotations

import html
import re

import pytest

from portal.core.actors import SYSTEM
from portal.orders.service import confirm_payin
from tests.web.pay.customer import Customer
from tests.web.pay.test_steps import upload

pytestmark = pytest.mark.proves("tried S3")


@pytest.fixture
def asked(customer: Customer) -> Customer:
    """The receiver says that 500.00 of 1500.00 came."""
    customer.drive(confirm_payin, 500_00, actor=SYSTEM)
    return customer


def test_the_page_names_both_amounts_and_asks(asked: Customer) -> None:
    page = asked.get("?lang=en").text.replace("\xa0", " ")
    assert (
        "The receiver says that RUB 500.00 came, you were asked for RUB 1,500.00. Is that what you sent?"
        in page
    )
    assert "Да, отправлено" in asked.get("?lang=ru").text


def test_agreeing_completes_the_order_with_it_once(asked: Customer) -> None:
    for _ in range(2):
        assert asked.post("/agreement", {"amount_minor": "50000"}).status_code == 303
    now = asked.now()
    assert (now.status, now.amount_received_minor) == ("completed", 500_00)
    assert asked.events().count("amount_agreed") == 1


@pytest.mark.parametrize("named", ["", "1", "150000", "50000.00", "-50000", "５００００", "9" * 400, "0x1"])
def test_only_the_amount_that_is_reported_now_is_agreed_to(asked: Customer, named: str) -> None:
    for path in ("/agreement", "/disagreement"):
        answer = asked.post(path, {"amount_minor": named})
        assert answer.status_code == 409, path
        assert "Look at it again" in answer.text
    assert asked.now().status == "awaiting_confirmation"


def test_what_was_corrected_meanwhile_is_shown_anew(asked: Customer) -> None:
    asked.drive(confirm_payin, 400_00, actor=SYSTEM)
    answer = asked.post("/agreement", {"amount_minor": "50000"})
    assert answer.status_code == 409
    assert 'value="40000"' in answer.text
    assert asked.now().amount_reported_minor == 400_00


def test_disagreeing_is_a_dispute_with_the_receipt_and_the_words_once(asked: Customer) -> None:
    sent = {"amount_minor": "50000", "words": "I sent it all"}
    assert asked.post("/disagreement", sent | upload()).status_code == 303
    assert asked.post("/disagreement", sent | upload()).status_code == 303
    case = asked.dispute()
    assert case is not None
    assert (case["reason"], case["words"], case["claimed_minor"]) == (
        "paid_another_amount", "I sent it all", 500_00,
    )  # fmt: skip
    assert len(asked.receipts()) == 1
    assert asked.post("/agreement", {"amount_minor": "50000"}).status_code == 409
    assert asked.now().status == "disputed"


def form_of(page: str, button: str) -> tuple[str, dict[str, str]]:
    """What a browser sends when this button is pressed and nothing is typed: the form's address and its fields."""
    (form,) = [one for one in re.findall(r"<form.*?</form>", page, re.DOTALL) if button in one]
    assert "required" not in form
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form))
    return re.findall(r'action="([^"]+)"', form)[0], fields


@pytest.mark.parametrize(
    ("language", "button"), [("en", "No, I have sent nothing"), ("ru", "Нет, перевода не было")]
)
def test_who_claimed_nothing_says_with_one_press_that_they_sent_nothing(
    asked: Customer, language: str, button: str
) -> None:
    assert "claimed" not in asked.events()
    before = asked.now()
    path, fields = form_of(asked.get(f"?lang={language}").text, button)
    for _ in range(2):
        assert asked.client.post(html.unescape(path), data=fields).status_code == 303
    case, after = asked.dispute(), asked.now()
    assert case is not None
    assert (case["reason"], case["claimed_minor"], case["opened_by_kind"]) == ("other", None, "customer")
    assert "sent nothing" in case["words"]
    assert (after.status, after.hold_minor, after.amount_received_minor) == (
        "disputed",
        before.hold_minor,
        None,
    )
    assert asked.post("/agreement", {"amount_minor": "50000"}).status_code == 409


def test_that_nothing_was_sent_is_said_of_a_corrected_amount_too(asked: Customer) -> None:
    page = asked.get("?lang=en").text
    asked.drive(confirm_payin, 400_00, actor=SYSTEM)
    path, fields = form_of(page, "No, I have sent nothing")
    assert asked.client.post(html.unescape(path), data=fields).status_code == 303
    assert asked.now().status == "disputed"


def test_nobody_denies_what_nobody_reports(customer: Customer) -> None:
    assert customer.post("/disagreement", {"sent": "nothing"}).status_code == 409
    assert customer.dispute() is None
    assert customer.now().status == "awaiting_payment"


def test_more_than_the_deposit_covers_goes_to_the_desk(customer: Customer) -> None:
    customer.drive(confirm_payin, 9_999_999_00, actor=SYSTEM)
    assert customer.post("/agreement", {"amount_minor": "999999900"}).status_code == 303
    assert customer.now().status == "disputed"


@pytest.mark.parametrize("path", ["/agreement", "/disagreement"])
def test_nobody_is_asked_before_anything_is_reported(customer: Customer, path: str) -> None:
    answer = customer.post(path, {"amount_minor": "150000"})
    assert answer.status_code == 409
    assert customer.now().version == customer.order.version


def test_a_file_that_is_none_leaves_the_question_open(asked: Customer) -> None:
    answer = asked.post("/disagreement", {"amount_minor": "50000"} | upload(b"<html>"))
    assert answer.status_code == 422
    assert asked.now().status == "awaiting_confirmation"
