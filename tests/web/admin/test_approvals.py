"""The one page of what takes two people: its list, its filters, and what it says of each request."""

from __future__ import annotations

import html
import re
import uuid

import pytest

from portal.approval_kinds import load
from portal.approvals.access import change_access
from portal.approvals.kinds import list_kinds
from portal.approvals.models import ApprovalState
from portal.approvals.service import withdraw
from portal.core.db import db, hot, transaction
from portal.core.permissions import Permission, Reach
from portal.identity.access.changes import AccessChange
from portal.identity.models import Role, User
from portal.web.shared.approvals.words import state_pill, words_of_kind
from tests.access.people import acting
from tests.web.admin.office import Office
from tests.web.desk import new_user

MONEY = AccessChange(grant={Permission.PAYIN_CONFIRM: Reach.TEAM})


def ask(office: Office, name: str) -> uuid.UUID:
    somebody = new_user(Role.SUPPORT)
    with transaction():
        db.session.get_one(User, somebody.id).name = name
        found = change_access(somebody.id, MONEY, f"Covers for {name}", actor=acting(office.ada))
    assert found is not None
    return found


def listed(office: Office, query: str = "") -> str:
    answer = office.browser.get(f"/admin/approvals{query}")
    assert answer.status_code == 200
    return html.unescape(answer.text)


def test_what_waits_comes_first_and_filters_find_the_rest(office: Office) -> None:
    waiting, gone = f"W{uuid.uuid4().hex[:8]}", f"G{uuid.uuid4().hex[:8]}"
    ask(office, waiting)
    taken_back = ask(office, gone)
    with transaction():
        withdraw(taken_back, actor=acting(office.ada))
    assert waiting in listed(office)
    assert gone not in listed(office)
    assert gone in listed(office, "?state=withdrawn")
    both = listed(office, "?state=all&kind=access")
    assert waiting in both
    assert gone in both
    assert waiting not in listed(office, "?kind=completion")
    assert office.browser.get("/admin/approvals?state=anything").status_code == 400


def test_an_empty_list_says_what_will_stand_there(office: Office) -> None:
    with transaction():
        hot("SET LOCAL session_replication_role = replica")
        hot("UPDATE approval_request SET state = 'expired', ended_at = now() WHERE state = 'waiting'")
    page = listed(office)
    assert "Nothing waits for approval" in page
    assert "it stands here" in page


def test_addresses_from_letters_before_lead_where_they_did(office: Office) -> None:
    request_id = ask(office, "Sam")
    assert office.browser.get("/admin/approvals").status_code == 200
    page = office.browser.get(f"/admin/approvals/{request_id}")
    assert page.status_code == 200
    assert "What Sam may do" in page.text


def test_a_refusal_says_why(office: Office) -> None:
    request_id = ask(office, "Sam")
    ben = office.sign_in(office.ben)
    answer = ben.post(
        f"/admin/approvals/{request_id}/decision", {"decision": "refuse", "seen": ""}, htmx=False
    )
    assert answer.status_code == 422
    assert "Say why." in answer.text
    assert 'aria-invalid="true"' in answer.text, "beside the field"
    refused = {"decision": "refuse", "seen": "", "reason": "Not this week"}
    assert ben.post(f"/admin/approvals/{request_id}/decision", refused, htmx=False).status_code == 303
    page = html.unescape(ben.get(f"/admin/approvals/{request_id}").text)
    assert "Not this week" in page
    assert "Refused" in page


def test_a_decision_that_is_sent_twice_is_one_and_says_so_to_nobody_else(office: Office) -> None:
    request_id = ask(office, "Sam")
    ben, bo = office.sign_in(office.ben), office.sign_in(new_user(Role.ADMIN))
    seen = re.findall(r'name="seen" value="(\w+)"', ben.get(f"/admin/approvals/{request_id}").text)[0]
    path, sent = f"/admin/approvals/{request_id}/decision", {"decision": "approve", "seen": seen}
    for browser in (ben, bo):
        browser.prove()
    assert [ben.post(path, sent, htmx=False).status_code for _ in range(2)] == [303, 303]
    late = bo.post(path, sent, htmx=False)
    assert (late.status_code, "This has been decided already." in late.text) == (409, True)
    changed_their_mind = ben.post(path, sent | {"decision": "refuse", "reason": "No"}, htmx=False)
    assert changed_their_mind.status_code == 409
    with transaction():
        rows = hot("SELECT count(*) AS n FROM audit_entry WHERE action = 'approval.approved'")
    assert rows == [{"n": 1}]


def test_every_kind_and_state_has_words(office: Office) -> None:
    load()
    assert [kind.name for kind in list_kinds()] == ["access", "completion", "dispute_completion"]
    with office.app.test_request_context():
        for kind in list_kinds():
            assert str(words_of_kind(kind.name).label)
            assert kind.may_propose is not kind.may_decide
            assert kind.may_decide.needs_two_people
        assert {state_pill(state.value)[1] for state in ApprovalState} >= {"Waits", "Out of date"}


@pytest.mark.proves("attack 69")
def test_row_69_who_may_open_the_page_decides_nothing_by_that(office: Office) -> None:
    request_id = ask(office, "Sam")
    sue = office.sign_in(new_user(Role.SUPPORT))
    assert sue.get("/admin/approvals").status_code == 200
    assert sue.get(f"/admin/approvals/{request_id}").status_code == 404
    sent = {"decision": "refuse", "reason": "I say so", "seen": ""}
    assert sue.post(f"/admin/approvals/{request_id}/decision", sent, htmx=False).status_code == 404
