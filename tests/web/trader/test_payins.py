"""What a trader does with payins: it works, a stranger's is 404, twice is once, and what moved on is 409."""

from __future__ import annotations

import re

import pytest

from portal.core.actors import CUSTOMER
from portal.core.db import hot, transaction
from portal.disputes.service import find_open_dispute
from portal.identity.models import Role
from portal.orders.models import Status
from portal.orders.queries import get_order
from portal.orders.service import agree_to_amount
from tests.web.desk import Browser, Desk, new_user, path_of

ACTIONS = ("confirmation", "decline")


def test_confirming_pays_everybody_once(desk: Desk) -> None:
    order = desk.payin(claimed=True)
    before = desk.balances()
    answer = desk.browser.post(path_of(order, "confirmation"))
    assert answer.status_code == 200
    assert 'id="board"' in answer.text
    assert "Confirmed: 1,500.00 RUB." in answer.text
    assert f'id="order-{order.id}"' not in answer.text
    ended = desk.now(order)
    assert (ended.status, ended.amount_received_minor, ended.hold_minor) == (Status.COMPLETED, 1500_00, 0)
    available, held, fiat = desk.balances()
    assert held == before[1] - order.settlement_minor
    assert available == before[0] + round(order.settlement_minor * 0.01)
    assert fiat == before[2] + 1500_00
    assert set(desk.ledger_sum(order).values()) == {0}


def test_confirming_twice_changes_nothing_more(desk: Desk) -> None:
    order = desk.payin(claimed=True)
    desk.browser.post(path_of(order, "confirmation"))
    after_first = (desk.balances(), desk.now(order).version, desk.count_steps(order))
    assert desk.browser.post(path_of(order, "confirmation")).status_code == 200
    assert (desk.balances(), desk.now(order).version, desk.count_steps(order)) == after_first


def test_confirming_without_htmx_leads_back_to_the_queue_with_a_word(desk: Desk) -> None:
    order = desk.payin(claimed=True)
    answer = desk.browser.post(path_of(order, "confirmation"), htmx=False)
    assert (answer.status_code, answer.location) == (303, "/trader/queue")
    assert desk.now(order).status == Status.COMPLETED
    assert "Confirmed: 1,500.00 RUB." in desk.browser.get("/trader/queue").text


def test_another_amount_is_shown_beside_the_ordered_one_before_anything_moves(desk: Desk) -> None:
    order = desk.payin(claimed=True)
    before = desk.balances()
    answer = desk.browser.post(path_of(order, "confirmation"), {"amount": "1 400,50"})
    assert answer.status_code == 200
    assert "1,500.00" in answer.text
    assert "1,400.50" in answer.text
    assert desk.now(order).status == Status.AWAITING_CONFIRMATION
    assert desk.balances() == before
    agreed = re.search(r'name="agreed_minor" value="(\d+)"', answer.text)
    assert agreed is not None
    answer = desk.browser.post(
        path_of(order, "confirmation"), {"amount": "1400.50", "agreed_minor": agreed[1]}
    )
    assert answer.status_code == 200
    assert "The customer is asked first" in answer.text
    asked = desk.now(order)
    assert (asked.status, asked.amount_reported_minor) == (Status.AWAITING_CONFIRMATION, 1400_50)
    assert desk.balances() == before
    with transaction():
        agree_to_amount(get_order(order.id, lock=True), 1400_50, actor=CUSTOMER)
    ended = desk.now(order)
    assert (ended.status, ended.amount_received_minor) == (Status.COMPLETED, 1400_50)
    assert desk.balances()[1] == before[1] - order.settlement_minor
    assert desk.balances()[2] == before[2] + 1400_50
    assert set(desk.ledger_sum(order).values()) == {0}


@pytest.mark.proves("tried S3")
def test_confirming_a_kopeck_settles_nothing_and_the_queue_says_what_it_waits_for(desk: Desk) -> None:
    order, before = desk.payin(claimed=True), desk.balances()
    for _ in range(2):
        sent = {"amount": "0.01", "agreed_minor": "1"}
        assert desk.browser.post(path_of(order, "confirmation"), sent).status_code == 200
    now = desk.now(order)
    assert (now.status, now.amount_reported_minor, now.version) == (
        Status.AWAITING_CONFIRMATION, 1, order.version + 1,
    )  # fmt: skip
    assert desk.balances() == before
    assert "The customer is asked whether that is right" in desk.browser.get("/trader/queue").text
    assert desk.browser.post(path_of(order, "confirmation")).status_code == 200
    assert desk.now(order).status == Status.COMPLETED


def test_an_amount_that_was_agreed_to_is_not_another_one(desk: Desk) -> None:
    order = desk.payin(claimed=True)
    answer = desk.browser.post(path_of(order, "confirmation"), {"amount": "1300", "agreed_minor": "140000"})
    assert "1,300.00" in answer.text
    assert desk.now(order).status == Status.AWAITING_CONFIRMATION


@pytest.mark.parametrize("typed", ["abc", "-5", "0", "1.005", "1e3", "9" * 30])
def test_what_is_not_an_amount_is_said_beside_the_field(desk: Desk, typed: str) -> None:
    order = desk.payin(claimed=True)
    answer = desk.browser.post(path_of(order, "confirmation"), {"amount": typed})
    assert answer.status_code == 422
    assert f'id="amount-{order.id}-problem"' in answer.text
    assert desk.now(order).status == Status.AWAITING_CONFIRMATION


@pytest.mark.proves("ASVS 3")
def test_a_payin_that_moved_on_is_409_in_words(desk: Desk) -> None:
    order = desk.payin(claimed=True)
    desk.browser.post(path_of(order, "decline"), {"reason": "not_received"})
    before = (desk.balances(), desk.count_steps(order))
    answer = desk.browser.post(path_of(order, "confirmation"))
    assert answer.status_code == 409
    assert "it is in dispute" in answer.text
    assert (desk.balances(), desk.count_steps(order)) == before
    page = desk.browser.post(path_of(order, "confirmation"), htmx=False)
    assert page.status_code == 409
    assert "<h1" in page.text


def test_a_payin_nobody_has_paid_yet_goes_back_and_its_hold_with_it(desk: Desk) -> None:
    before = desk.balances()
    order = desk.payin()
    answer = desk.browser.post(path_of(order, "decline"), {"reason": "other", "words": "the bank is closed"})
    assert answer.status_code == 200
    now = desk.now(order)
    assert (now.status, now.trader_id) == (Status.MATCHING, None)
    assert desk.balances()[:2] == before[:2]
    with transaction():
        reasons = hot("SELECT reason FROM past_assignment WHERE order_id = %(id)s", {"id": order.id})
    assert [row["reason"] for row in reasons] == ["other: the bank is closed"]
    again = desk.browser.post(path_of(order, "decline"), {"reason": "bank_problem"})
    assert again.status_code == 200
    assert "given this order back already" in again.text
    assert set(desk.ledger_sum(order).values()) == {0}


def test_a_claimed_payin_whose_money_did_not_come_becomes_a_dispute(desk: Desk) -> None:
    order = desk.payin(claimed=True)
    held = desk.balances()[1]
    answer = desk.browser.post(path_of(order, "decline"), {"reason": "fake_receipt", "words": "copied"})
    assert answer.status_code == 200
    assert desk.now(order).status == Status.DISPUTED
    with transaction():
        case = find_open_dispute(order.id)
    assert case is not None
    assert (case.reason, case.words, case.opened_by_kind) == ("fake_receipt", "copied", "trader")
    assert desk.balances()[1] == held
    repeated = desk.browser.post(path_of(order, "decline"), {"reason": "fake_receipt"})
    assert repeated.status_code == 200
    with transaction():
        count = hot("SELECT count(*) AS n FROM dispute WHERE order_id = %(id)s", {"id": order.id})
    assert count[0]["n"] == 1


@pytest.mark.parametrize(
    "sent", [{}, {"reason": "nonsense"}, {"reason": "other"}, {"reason": "not_received", "words": "x" * 501}]
)
def test_a_decline_needs_a_reason(desk: Desk, sent: dict[str, str]) -> None:
    order = desk.payin(claimed=True)
    answer = desk.browser.post(path_of(order, "decline"), sent)
    assert answer.status_code == 422
    assert f'id="reason-{order.id}-problem"' in answer.text
    assert desk.now(order).status == Status.AWAITING_CONFIRMATION


def test_declining_without_htmx_leads_back_to_the_queue(desk: Desk) -> None:
    order = desk.payin()
    answer = desk.browser.post(path_of(order, "decline"), {"reason": "bank_problem"}, htmx=False)
    assert (answer.status_code, answer.location) == (303, "/trader/queue")
    assert desk.now(order).status == Status.MATCHING


def test_money_that_came_late_completes_an_expired_payin(desk: Desk) -> None:
    order = desk.expired()
    assert 'id="late"' in desk.browser.get("/trader/queue").text
    before = desk.balances()
    assert desk.browser.post(path_of(order, "confirmation")).status_code == 200
    assert desk.now(order).status == Status.COMPLETED
    available, held, fiat = desk.balances()
    assert held == before[1]
    assert available == before[0] - order.settlement_minor + round(order.settlement_minor * 0.01)
    assert fiat == before[2] + 1500_00
    assert set(desk.ledger_sum(order).values()) == {0}


@pytest.mark.parametrize("action", ACTIONS)
def test_a_strangers_payin_is_404(desk: Desk, stranger: Desk, action: str) -> None:
    order = stranger.payin(claimed=True)
    answer = desk.browser.post(path_of(order, action), {"reason": "not_received"})
    assert answer.status_code == 404
    assert stranger.now(order).status == Status.AWAITING_CONFIRMATION


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("role", [Role.MERCHANT, Role.SUPPORT, Role.ADMIN, Role.LEAD])
def test_other_roles_are_403(desk: Desk, browser: Browser, action: str, role: Role) -> None:
    order = desk.payin(claimed=True)
    browser.sign_in(new_user(role).email)
    assert browser.post(path_of(order, action), {"reason": "not_received"}).status_code == 403
    assert desk.now(order).status == Status.AWAITING_CONFIRMATION


@pytest.mark.parametrize("action", ACTIONS)
def test_without_a_session_there_is_only_the_sign_in(desk: Desk, browser: Browser, action: str) -> None:
    order = desk.payin(claimed=True)
    browser.read_token("/sign-in")
    fragment = browser.post(path_of(order, action))
    assert (fragment.status_code, fragment.headers["HX-Redirect"]) == (401, "/sign-in")
    assert browser.post(path_of(order, action), htmx=False).status_code == 303
    assert desk.now(order).status == Status.AWAITING_CONFIRMATION


@pytest.mark.proves("ASVS 15")
@pytest.mark.parametrize("action", ACTIONS)
def test_a_form_without_its_token_is_refused(desk: Desk, action: str) -> None:
    order = desk.payin(claimed=True)
    desk.browser.token = "forged"
    assert desk.browser.post(path_of(order, action), {"reason": "not_received"}).status_code == 400
    assert desk.now(order).status == Status.AWAITING_CONFIRMATION


@pytest.mark.proves("ASVS 15")
def test_a_form_sent_from_another_site_is_refused(desk: Desk) -> None:
    order = desk.payin(claimed=True)
    answer = desk.browser.open(
        "POST",
        path_of(order, "confirmation"),
        data={"csrf_token": desk.browser.token},
        headers={"Sec-Fetch-Site": "cross-site"},
    )
    assert answer.status_code == 403
    assert desk.now(order).status == Status.AWAITING_CONFIRMATION


def test_a_payout_is_no_payin(desk: Desk) -> None:
    order = desk.payout(accepted=True)
    path = path_of(order, "confirmation").replace("payouts", "payins")
    assert desk.browser.post(path).status_code == 404
