"""More than its amount: from the refusal on the order's page to the second person's decision."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from portal.approvals.access import change_access
from portal.approvals.queries import get_request, look_at
from portal.approvals.service import decide_now
from portal.core.actors import CUSTOMER
from portal.core.db import hot, transaction
from portal.core.ids import public_id
from portal.core.permissions import Permission, Reach
from portal.disputes.models import DisputeReason
from portal.disputes.service import open_dispute
from portal.identity.access.changes import AccessChange
from portal.identity.models import Role
from portal.orders.models import Status
from portal.orders.queries import get_order
from portal.orders.record import OrderRecord
from portal.reference import setting_changes
from tests.access.people import acting
from tests.web.admin.office import Office, value_of
from tests.web.desk import Browser, Desk, new_user, open_desk

pytestmark = pytest.mark.proves("tried S7")
WHY = "The statement says so"


@pytest.fixture
def world(in_context: Flask) -> Desk:
    return open_desk(in_context)


@pytest.fixture
def office(in_context: Flask) -> Office:
    office = Office(in_context)
    office.browser.prove()
    return office


@pytest.fixture
def order(world: Desk) -> OrderRecord:
    return world.payin(153_00, claimed=True)


def at(order: OrderRecord, path: str) -> str:
    return f"/admin/orders/{public_id('ord', order.id)}/{path}"


def hidden(page: str) -> dict[str, str]:
    return dict(
        re.findall(
            r'<input type="hidden" name="(version|seen|amount|reason)" value="([^"]*)"', html.unescape(page)
        )
    )


def propose(
    browser: Browser, order: OrderRecord, amount: str = "9000.00", path: str = "completion-request"
) -> Any:
    """See what would change, then propose it."""
    shown = browser.post(at(order, path), {"amount": amount, "reason": WHY}, htmx=False)
    assert shown.status_code == 200, shown.text
    return browser.post(at(order, path), hidden(shown.text) | {"amount": amount, "reason": WHY}, htmx=False)


def test_the_refusal_leads_to_a_proposal_and_another_person_completes_it(
    world: Desk, office: Office, order: OrderRecord
) -> None:
    before = world.balances()
    form = hidden(office.browser.get(at(order, "completion")).text)
    refused = office.post(at(order, "completion"), form | {"amount": "9000.00", "reason": WHY})
    assert refused.status_code == 409
    assert "nobody completes it alone" in html.unescape(refused.text)
    leads_to = refused.text.split('id="propose"')[1].split("</form>")[0]
    assert at(order, "completion-request") in leads_to
    shown = office.post(at(order, "completion-request"), hidden(leads_to))
    assert shown.status_code == 200
    words = html.unescape(shown.text)
    assert "completed with 9,000.00\u00a0RUB instead of 153.00\u00a0RUB" in words
    assert "94.736842" in words
    assert (world.balances(), world.now(order).status) == (before, Status.AWAITING_CONFIRMATION)
    sent = hidden(shown.text.split("</header>")[-1]) | {"amount": "9000.00", "reason": WHY}
    answer = office.post(at(order, "completion-request"), sent)
    assert answer.status_code == 303
    assert "/admin/approvals/" in answer.location
    assert office.post(at(order, "completion-request"), sent).location == answer.location, "pressed twice"
    assert "waits for a second person" in office.browser.get(at(order, "x").removesuffix("/x")).text
    ben = office.sign_in(office.ben)
    ben.prove()
    page = ben.get(answer.location).text
    done = ben.post(
        f"{answer.location}/decision", {"seen": value_of(page, "seen"), "decision": "approve"}, htmx=False
    )
    assert done.status_code == 303
    now = world.now(order)
    assert (now.status, now.amount_received_minor) == (Status.COMPLETED, 9000_00)
    assert world.ledger_sum(order) == {"RUB": 0, "USDT": 0}
    assert [action for action, _ in office.audited(order.id)] == [
        "approval.requested", "approval.approved", "order.confirmed",
    ]  # fmt: skip
    told = "SELECT DISTINCT user_id FROM notification WHERE kind = 'approval_wanted' AND read_at IS NULL AND about = %(id)s"
    with transaction():
        assert hot(told, {"id": answer.location.rpartition("/")[2]}) == [], "the bells stop calling"


def test_those_who_may_decide_hear_of_it_by_bell_and_mail_in_their_language(
    office: Office, order: OrderRecord
) -> None:
    request_id = propose(office.browser, order).location.rpartition("/")[2]
    with transaction():
        told = hot("SELECT user_id, params, link FROM notification WHERE about = %(id)s", {"id": request_id})
        mailed = hot(
            "SELECT params FROM mail WHERE kind = 'approval_wanted' AND recipient = %(to)s",
            {"to": office.ben.email},
        )
    mine = [row for row in told if row["user_id"] == office.ben.id]
    assert [row["link"] for row in mine] == [f"/admin/approvals/{request_id}"]
    assert mine[0]["params"] == {
        "what": "completion", "asked_by": "Tara", "subject": public_id("ord", order.id), "amount": "9000.00 RUB",
    }  # fmt: skip
    assert office.ada.id not in {row["user_id"] for row in told}
    assert mailed[-1]["params"]["amount"] == "9000.00 RUB"
    ben = office.sign_in(office.ben)
    assert "more than its amount" in ben.get("/account/notifications").text
    rita = office.sign_in(new_user(Role.ADMIN, locale="ru"))
    page = rita.get(f"/admin/approvals/{request_id}").text
    assert "Заявка завершается на 9\u00a0000,00\u00a0RUB вместо 153,00\u00a0RUB" in page


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        ("", "Give the amount"),
        ("153.00", "one person completes it alone"),
        ("nine", "in digits"),
        ("100", "alone"),
    ],
)
def test_an_amount_that_one_completes_alone_or_that_is_none_is_not_proposed(
    office: Office, order: OrderRecord, amount: str, words: str
) -> None:
    answer = office.post(at(order, "completion-request"), {"amount": amount, "reason": WHY})
    assert answer.status_code == 422
    assert words in html.unescape(answer.text)


def test_what_was_not_seen_is_not_proposed(world: Desk, office: Office, order: OrderRecord) -> None:
    shown = office.post(at(order, "completion-request"), {"amount": "9000.00", "reason": WHY})
    other = office.post(
        at(order, "completion-request"), hidden(shown.text) | {"amount": "9500.00", "reason": WHY}
    )
    assert other.status_code == 200, "another amount is shown first"
    with transaction():
        hot("UPDATE orders SET version = version + 1 WHERE id = %(id)s", {"id": order.id})
    again = office.post(
        at(order, "completion-request"), hidden(shown.text) | {"amount": "9000.00", "reason": WHY}
    )
    assert again.status_code == 200
    with transaction():
        sql = "SELECT count(*) AS n FROM approval_request WHERE subject_id = %(id)s"
        assert hot(sql, {"id": str(order.id)}) == [{"n": 0}]


def test_a_disputed_order_is_proposed_to_be_decided_so(
    world: Desk, office: Office, order: OrderRecord
) -> None:
    assert office.browser.get(at(order, "decision-request")).status_code == 409
    with transaction():
        open_dispute(get_order(order.id, lock=True), DisputeReason.OTHER, None, None, actor=CUSTOMER)
    assert office.browser.get(at(order, "completion-request")).status_code == 409
    form = hidden(office.browser.get(at(order, "decision")).text)
    sent = form | {"outcome": "completed", "amount": "9000.00", "reason": WHY}
    refused = office.post(at(order, "decision"), sent)
    assert refused.status_code == 409
    assert at(order, "decision-request") in refused.text
    answer = propose(office.browser, order, path="decision-request")
    ben = office.sign_in(office.ben)
    ben.prove()
    mark = value_of(ben.get(answer.location).text, "seen")
    ben.post(f"{answer.location}/decision", {"seen": mark, "decision": "approve"}, htmx=False)
    assert world.now(order).status == Status.COMPLETED


def test_one_press_that_is_sent_twice_leads_to_its_one_request_and_another_amount_waits(
    office: Office, order: OrderRecord
) -> None:
    path, typed = at(order, "completion-request"), {"amount": "9000.00", "reason": WHY}
    seen = hidden(office.browser.post(path, typed, htmx=False).text)
    answers = [office.browser.post(path, seen | typed, htmx=False) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 303]
    assert answers[0].location == answers[1].location
    other = propose(office.browser, order, "8000.00")
    assert other.status_code == 409
    assert "waits for approval already" in other.text
    with transaction():
        assert hot("SELECT count(*) AS n FROM approval_request") == [{"n": 1}]


def test_two_sessions_of_one_person_are_one_person(world: Desk, office: Office, order: OrderRecord) -> None:
    answer = propose(office.browser, order)
    second = office.sign_in(office.ada)
    second.prove()
    page = second.get(answer.location).text
    assert 'value="approve"' not in page
    assert "another administrator decides" in page
    seen = "00" * 32
    refused = second.post(f"{answer.location}/decision", {"seen": seen, "decision": "approve"}, htmx=False)
    assert refused.status_code == 403
    assert world.now(order).status == Status.AWAITING_CONFIRMATION


def test_money_takes_a_fresh_proof_to_propose_and_to_decide(
    world: Desk, office: Office, order: OrderRecord
) -> None:
    answer = propose(office.browser, order)
    ben = office.sign_in(office.ben)
    page = ben.get(answer.location)
    assert page.status_code == 200
    assert 'value="approve"' not in page.text
    assert "/sudo" in page.text
    sent = {"seen": "00" * 32, "decision": "approve"}
    assert ben.post(f"{answer.location}/decision", sent, htmx=False).location.startswith("/sudo")
    assert ben.get(at(order, "completion-request")).location.startswith("/sudo")
    assert ben.post(at(order, "completion-request"), {}, htmx=False).location.startswith("/sudo")
    ben.prove()
    assert 'value="approve"' in ben.get(answer.location).text


def test_whoever_may_neither_propose_nor_decide_it_does_not_see_it(
    office: Office, order: OrderRecord
) -> None:
    answer = propose(office.browser, order)
    denied = frozenset({Permission.ORDER_COMPLETE, Permission.COMPLETION_APPROVE})
    with transaction():
        change_access(office.ben.id, AccessChange(deny=denied), "not theirs", actor=acting(office.ada))
    ben = office.sign_in(office.ben)
    ben.prove()
    assert ben.get(answer.location).status_code == 404
    assert ben.post(f"{answer.location}/decision", {"decision": "refuse"}, htmx=False).status_code == 404
    assert "More than its amount" not in ben.get("/admin/approvals").text
    assert ben.get("/admin/approvals?kind=completion").status_code == 400
    sue = office.sign_in(new_user(Role.SUPPORT))
    assert sue.get(answer.location).status_code == 404


def test_how_long_a_proposal_waits_is_a_setting(office: Office, order: OrderRecord) -> None:
    with transaction():
        setting_changes.set_value("approval_life_h", 5, acting(office.ada))
    propose(office.browser, order)
    with transaction():
        setting_changes.reset("approval_life_h", acting(office.ada))
        sql = "SELECT expires_at - created_at AS life FROM approval_request WHERE subject_id = %(id)s"
        assert hot(sql, {"id": str(order.id)}) == [{"life": timedelta(hours=5)}]


def test_one_of_support_to_whom_two_gave_it_proposes_in_their_own_portal(
    world: Desk, office: Office, order: OrderRecord
) -> None:
    sue = new_user(Role.SUPPORT)
    browser = office.sign_in(sue)
    browser.prove()
    theirs = at(order, "completion-request").replace("/admin/", "/support/")
    assert browser.get(theirs).status_code == 403
    with transaction():
        given = AccessChange(grant={Permission.ORDER_COMPLETE: Reach.ALL})
        request_id = change_access(sue.id, given, "They cover the night", actor=acting(office.ada))
    assert request_id is not None
    decide_now(request_id, look_at(get_request(request_id)).seen, is_approved=True, actor=acting(office.ben))
    browser.prove()
    shown = browser.post(theirs, {"amount": "9000.00", "reason": WHY}, htmx=False)
    answer = browser.post(theirs, hidden(shown.text) | {"amount": "9000.00", "reason": WHY}, htmx=False)
    assert answer.status_code == 303
    page = browser.get(answer.location).text
    assert "another administrator decides" in page, "they see what they proposed, and decide nothing"
    assert browser.post(f"{answer.location}/withdrawal", htmx=False).status_code == 303
    assert world.now(order).status == Status.AWAITING_CONFIRMATION
