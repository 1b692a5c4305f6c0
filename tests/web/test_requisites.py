"""Requisites over HTTP: handed in by a trader, decided about by somebody else, limited, switched, archived."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from flask import Flask

from portal.core.db import db, hot, transaction
from portal.identity.models import Role, User
from portal.orders.models import Status
from portal.traders.queries import requisite_number
from portal.traders.requisites import own_requisite, seal_of
from tests.scene import card_number
from tests.web.admin.office import Office, column
from tests.web.auth.people import forget_proof
from tests.web.desk import PASSWORD, Browser, Desk, new_user, path_of

NEW = "/trader/requisites/new?kind=card.RUB"
STATUS = "SELECT status FROM requisite WHERE id = %(id)s"
FIELDS = {"bank": "sber", "holder": "TARA P.", "min_amount": "100", "max_amount": "50000"}


@pytest.fixture
def office(in_context: Flask) -> Office:
    return Office(in_context)


def add(desk: Desk, number: str = "", **changes: str) -> Any:
    sent = FIELDS | {"number": number or card_number()} | changes
    return desk.browser.post(NEW, sent, htmx=False)


def newest(desk: Desk) -> uuid.UUID:
    sql = "SELECT id FROM requisite WHERE trader_id = %(id)s ORDER BY created_at DESC LIMIT 1"
    return uuid.UUID(str(column(sql, id=desk.trader.id)[0]))


def decide(office: Office, desk: Desk, requisite_id: uuid.UUID, verdict: str, **how: Any) -> Any:
    with transaction():
        seal = how.pop("seal", None) or seal_of(own_requisite(desk.trader.id, requisite_id))
    sent = {"reason": how.get("reason", "Seen"), "seen": seal}
    path = f"/admin/requisites/{requisite_id}/decision/{verdict}"
    return (how.get("browser") or office.browser).post(path, sent, htmx=False)


def test_a_requisite_is_handed_in_approved_switched_on_and_gets_orders(office: Office, desk: Desk) -> None:
    number = card_number()
    assert add(desk, number, day_amount_limit="2000", max_open_orders="3").status_code == 303
    mine = newest(desk)
    stored = hot_row("SELECT * FROM requisite WHERE id = %(id)s", mine)
    assert (stored["status"], stored["min_amount"], stored["day_amount_limit"]) == (
        "pending",
        100_00,
        2000_00,
    )
    assert stored["submitted_by"] == desk.user.id
    assert number.encode() not in bytes(stored["number_encrypted"])
    page = desk.browser.get("/trader/requisites").get_data(as_text=True)
    assert number not in page
    assert number[-4:] in page
    office.browser.get(f"/admin/requisites/{mine}")
    assert decide(office, desk, mine, "approve").status_code == 303
    desk.browser.post(f"/trader/requisites/{desk.requisite.id}/switches", {}, htmx=False)
    assert desk.scene.payin().status == Status.MATCHING
    desk.browser.post(f"/trader/requisites/{mine}/switches", {"payin_on": "on"}, htmx=False)
    assert desk.scene.payin(1600_00).requisite_id == mine
    told = [action for action, _ in office.audited(mine)]
    assert told == ["requisite.added", "requisite.approved", "requisite.switched"]
    entry = hot_row(
        "SELECT after::text AS after FROM audit_entry WHERE subject_id = %(id)s ORDER BY id", str(mine)
    )
    assert number not in entry["after"]


def hot_row(sql: str, key: object) -> dict[str, Any]:
    with transaction():
        return hot(sql, {"id": key})[0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"number": "4111111111111112"},
        {"number": ""},
        {"holder": ""},
        {"bank": "no-such-bank"},
        {"min_amount": "60000"},
        {"max_amount": "a lot"},
        {"max_open_orders": "many"},
        {"max_open_orders": "0"},
        {"day_count_limit": "-1"},
        {"window_hours": "24"},
        {"total_amount_limit": "1.234"},
    ],
)
def test_what_makes_no_sense_is_said_beside_the_field_and_stores_nothing(
    desk: Desk, wrong: dict[str, str]
) -> None:
    answer = desk.browser.post(NEW, FIELDS | {"number": card_number()} | wrong, htmx=False)
    assert answer.status_code == 422
    assert "field-problem" in answer.get_data(as_text=True)
    assert column("SELECT count(*) FROM requisite WHERE trader_id = %(id)s", id=desk.trader.id) == [1]


def test_a_number_in_use_is_refused_and_an_archived_one_may_come_again(office: Office, desk: Desk) -> None:
    number = card_number()
    add(desk, number)
    mine = newest(desk)
    assert add(desk, number).status_code == 409
    assert desk.browser.post(f"/trader/requisites/{mine}/archive", {}, htmx=False).status_code == 303
    assert column(STATUS, id=mine) == ["archived"]
    assert add(desk, number).status_code == 303


def test_a_requisite_on_which_orders_run_is_not_archived(desk: Desk) -> None:
    desk.payin()
    answer = desk.browser.post(f"/trader/requisites/{desk.requisite.id}/archive", {}, htmx=False)
    assert answer.status_code == 409
    assert column(STATUS, id=desk.requisite.id) == ["approved"]


def test_limits_hold_at_once_and_another_holder_waits_for_approval(office: Office, desk: Desk) -> None:
    path = f"/trader/requisites/{desk.requisite.id}"
    assert desk.browser.post(path, FIELDS | {"max_amount": "1000"}, htmx=False).status_code == 303
    assert column(STATUS, id=desk.requisite.id) == ["approved"]
    assert desk.scene.payin(1500_00).status == Status.MATCHING
    assert desk.browser.post(path, FIELDS | {"holder": "OMAR K."}, htmx=False).status_code == 303
    assert column(STATUS, id=desk.requisite.id) == ["pending"]
    assert desk.scene.payin(1501_00).status == Status.MATCHING
    assert decide(office, desk, desk.requisite.id, "approve").status_code == 303
    assert desk.scene.payin(1502_00).status == Status.AWAITING_PAYMENT


def test_a_suspended_requisite_gets_nothing_new_and_finishes_what_runs(office: Office, desk: Desk) -> None:
    running, mine = desk.payin(claimed=True), desk.requisite.id
    assert decide(office, desk, mine, "suspend", reason="Card reported").status_code == 303
    assert "Suspended" in office.browser.get(f"/admin/traders/{desk.trader.id}").get_data(as_text=True)
    assert desk.scene.payin(1700_00).status == Status.MATCHING
    desk.browser.post(path_of(running, "confirmation"))
    assert desk.now(running).status == Status.COMPLETED
    assert "Card reported" in desk.browser.get("/trader/requisites").get_data(as_text=True)
    assert decide(office, desk, mine, "approve").status_code == 409
    assert decide(office, desk, mine, "resume").status_code == 303
    assert column(STATUS, id=mine) == ["approved"]


def test_a_decision_is_about_what_was_seen(office: Office, desk: Desk) -> None:
    add(desk)
    mine = newest(desk)
    with transaction():
        seal = seal_of(own_requisite(desk.trader.id, mine))
    desk.browser.post(f"/trader/requisites/{mine}", FIELDS | {"holder": "OMAR K."}, htmx=False)
    assert decide(office, desk, mine, "approve", seal=seal).status_code == 409
    assert decide(office, desk, mine, "decline", reason="").status_code == 422
    assert column(STATUS, id=mine) == ["pending"]
    assert decide(office, desk, mine, "decline", reason="Not your name").status_code == 303
    assert "Not your name" in desk.browser.get("/trader/requisites").get_data(as_text=True)
    assert desk.browser.post(f"/trader/requisites/{mine}", FIELDS, htmx=False).status_code == 409


@pytest.mark.proves("attack 69")
def test_row_69_nobody_approves_a_requisite_of_their_own(office: Office, desk: Desk) -> None:
    add(desk)
    mine = newest(desk)
    with transaction():
        hot("INSERT INTO user_role (user_id, role) VALUES (%(id)s, 'admin')", {"id": desk.user.id})
    browser = Browser(desk.app.test_client())
    assert browser.sign_in(desk.user.email, PASSWORD).status_code == 303
    assert decide(office, desk, mine, "approve", browser=browser).status_code == 403
    assert column(STATUS, id=mine) == ["pending"]
    # Even where the code forgets it, the database does not.
    sql = "UPDATE requisite SET status = 'approved', decided_by = submitted_by WHERE id = %(id)s"
    with pytest.raises(Exception, match="ck_requisite_two_people"), transaction():
        hot(sql, {"id": mine})


def test_deciding_and_adding_take_a_fresh_proof(office: Office, desk: Desk) -> None:
    forget_proof(office.ada)
    forget_proof(desk.user)
    decided = decide(office, desk, desk.requisite.id, "suspend")
    added = add(desk)
    for answer in (decided, added):
        assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (303, "/sudo")
    assert column(STATUS, id=desk.requisite.id) == ["approved"]


def lead_of(desk: Desk) -> User:
    lead = new_user(Role.LEAD)
    with transaction():
        hot(
            "UPDATE team SET lead_id = %(lead)s WHERE id = %(id)s",
            {"lead": lead.id, "id": desk.scene.team_id},
        )
    return lead


def test_a_lead_sees_their_own_traders_requisites_and_nobody_elses(desk: Desk, stranger: Desk) -> None:
    browser = Browser(desk.app.test_client())
    assert browser.sign_in(lead_of(desk).email).status_code == 303
    page = browser.get("/lead/requisites").get_data(as_text=True)
    assert desk.requisite.number_masked in page
    assert stranger.requisite.number_masked not in page
    assert desk.browser.get(f"/trader/requisites/{stranger.requisite.id}").status_code == 404


def test_the_list_is_narrowed_sorted_and_paged(office: Office, desk: Desk, stranger: Desk) -> None:
    with transaction():
        hot("UPDATE trader SET name = 'Zed ' || id WHERE id = %(id)s", {"id": desk.trader.id})
        hot(
            "UPDATE requisite SET total_amount_limit = 100000, total_amount = 90000 WHERE id = %(id)s",
            {"id": desk.requisite.id},
        )
        desk.scene.copies_of(desk.scene.requisite(desk.trader, on=False), 59)
    mine = f"q=Zed+{desk.trader.id}"
    first = office.browser.get(f"/admin/requisites?{mine}&sort=-used").get_data(as_text=True)
    assert first.index(desk.requisite.number_masked) > 0
    assert stranger.requisite.number_masked not in first
    for query in ("state=online", "used=nearly", "method=card&bank=sber&used=nearly"):
        page = office.browser.get(f"/admin/requisites?{mine}&{query}").get_data(as_text=True)
        assert page.count('data-label="Requisite"') == 1, query
    assert "Nothing fits" in office.browser.get(f"/admin/requisites?{mine}&used=up").get_data(as_text=True)
    seen, url = 0, f"/admin/requisites?{mine}&sort=-used"
    while url:
        page = office.browser.get(url).get_data(as_text=True)
        seen += page.count('data-label="Requisite"')
        url = next_page(page)
    assert seen == 61
    db.session.rollback()


def next_page(page: str) -> str:
    import html
    import re

    found = re.search(r'href="([^"]*after=[^"]*)"', page)
    return html.unescape(found[1]) if found else ""


def test_the_file_has_the_list_with_masked_numbers(office: Office, desk: Desk) -> None:
    with transaction():
        hot("UPDATE trader SET name = 'Zeta ' || id WHERE id = %(id)s", {"id": desk.trader.id})
        masked = desk.requisite.number_masked
        whole = requisite_number(desk.requisite.id)
    answer = office.browser.get(f"/admin/requisites.csv?q=Zeta+{desk.trader.id}")
    assert answer.status_code == 200
    assert answer.mimetype == "text/csv"
    text = answer.get_data(as_text=True)
    assert masked in text
    assert whole not in text
    assert office.browser.get("/admin/requisites.csv?sort=holder").status_code == 400
