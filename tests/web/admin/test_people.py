"""Lists of people and one person's page: who may, what is stored, what is written down."""

from __future__ import annotations

import base64
import json
import uuid

import pytest
from sqlalchemy import event

from portal.core.db import db
from portal.core.ids import new_id
from portal.core.observability.trace import traced
from portal.identity.models import Role
from portal.identity.people.people_list import PeopleFilter, PersonSort, PersonState, list_people_rows
from tests.web.admin.office import Office, column
from tests.web.auth.people import forget_proof, give_app
from tests.web.desk import Browser, Desk, new_user

LISTS = ("/admin/people", "/admin/people?role=admin&sort=-seen", "/admin/leads", "/admin/traders",
         "/admin/traders?sort=-turnover&period=month", "/admin/merchants?sort=-orders")  # fmt: skip
REASON = {"reason": "They left the house"}
MOST_QUERIES = 6


@pytest.mark.parametrize("path", LISTS)
def test_a_list_takes_at_most_six_queries(
    office: Office, desk: Desk, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.payin(claimed=True)
    office.browser.get(path)
    asked: list[str] = []
    monkeypatch.setattr("portal.core.db.statements.count_query", lambda: asked.append("hot"))

    def hear(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        # The tests' isolation puts savepoints around what is a transaction elsewhere.
        if not statement.startswith(("SAVEPOINT", "RELEASE")):
            asked.append(statement)

    event.listen(db.engine, "after_cursor_execute", hear)
    try:
        answer = office.browser.get(path)
    finally:
        event.remove(db.engine, "after_cursor_execute", hear)
    assert answer.status_code == 200
    assert 0 < len(asked) <= MOST_QUERIES, asked


def test_people_are_found_by_name_email_and_state(office: Office) -> None:
    blocked = new_user(Role.SUPPORT, email=f"zora-{uuid.uuid4().hex}@example.test")
    assert office.post(f"/admin/people/{blocked.id}/disabling", REASON).status_code == 303
    page = office.browser.get(f"/admin/people?q={blocked.email[:20].upper()}&state=blocked").get_data(
        as_text=True
    )
    assert blocked.email in page
    assert office.ada.email not in page
    nobody = office.browser.get("/admin/people?q=100%25_of&state=online").get_data(as_text=True)
    assert "Nothing fits" in nobody


@pytest.mark.parametrize("sort", list(PersonSort))
@pytest.mark.parametrize("is_descending", [False, True])
def test_pages_of_people_hold_everybody_once(office: Office, sort: PersonSort, is_descending: bool) -> None:
    with traced("a test"):
        whole = list_people_rows(PeopleFilter(Role.ADMIN), sort, is_descending=is_descending, limit=1000)
        seen, after = [], None
        while page := list_people_rows(
            PeopleFilter(Role.ADMIN), sort, is_descending=is_descending, after=after, limit=1
        ):
            seen += [row.id for row in page]
            after = (page[-1].sort_key, page[-1].id)
    assert seen == [row.id for row in whole]
    assert {office.ada.id, office.ben.id} <= set(seen)


def test_a_list_of_one_state_holds_nobody_else(office: Office) -> None:
    online = list_people_rows(
        PeopleFilter(state=PersonState.ONLINE), PersonSort.NAME, is_descending=False, limit=1000
    )
    assert office.ada.id in {row.id for row in online}
    assert office.ben.id not in {row.id for row in online}


def place(*values: str) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


@pytest.mark.proves("attack 65")
def test_row_65_a_mended_cursor_of_the_log_of_errors_is_refused(office: Office) -> None:
    moment = "2026-11-30T09:30:00+00:00"
    for values in ((moment,), ("x", "1"), (moment, "x"), (moment, str(10**30)), (moment[:19], "1")):
        assert office.browser.get(f"/admin/errors?after={place(*values)}").status_code == 400, values
        assert office.browser.get(f"/admin/audit?after={place(*values)}").status_code == 400, values
    assert office.browser.get(f"/admin/errors?after={place(moment, '1')}").status_code == 200


@pytest.mark.proves("attack 65")
def test_row_65_a_mended_cursor_or_a_wrong_choice_is_refused(office: Office) -> None:
    for query in (
        "after=WyJ4IiwgInkiXQ",
        "after=%00",
        "sort=drop",
        "role=king",
        "state=%00",
        "sort=created&after=WyJhIiwgImIiXQ",
        f"after={place(chr(0xD800), str(office.ada.id))}",
        f"after={place('x', 'urn:uuid:x')}",
        f"sort=created&after={place('2026-W01-1', str(office.ada.id))}",
    ):
        assert office.browser.get(f"/admin/people?{query}").status_code == 400


def test_the_list_of_traders_shows_requisites_and_turnover(office: Office, desk: Desk) -> None:
    order = desk.payin(claimed=True)
    from tests.web.desk import path_of

    desk.browser.post(path_of(order, "confirmation"), {})
    page = office.browser.get(f"/admin/traders?q={desk.user.email}").get_data(as_text=True)
    assert "Tara" in page
    assert "15.78" in page  # 1500 RUB at 95 RUB a USDT
    for state in ("online", "blocked"):
        narrowed = office.browser.get(f"/admin/traders?q={desk.user.email}&state={state}").get_data(
            as_text=True
        )
        assert ("Nothing fits" in narrowed) == (state == "blocked")


def test_the_file_holds_the_list_and_guards_formulas(office: Office) -> None:
    new_user(Role.SUPPORT, email=f"=cmd-{uuid.uuid4().hex}@example.test")
    text = office.browser.get("/admin/people.csv?role=support").get_data(as_text=True)
    assert "'=cmd-" in text
    assert office.ada.email not in text


@pytest.mark.proves("ASVS 32", "attack 51")
def test_switching_off_ends_sessions_and_work_at_once_and_is_written_down(office: Office, desk: Desk) -> None:
    path = f"/admin/people/{desk.user.id}/disabling"
    assert office.post(path, REASON).status_code == 303
    assert column("SELECT is_active FROM users WHERE id = %(id)s", id=desk.user.id) == [False]
    assert column("SELECT is_working FROM trader WHERE id = %(id)s", id=desk.trader.id) == [False]
    assert desk.browser.get("/trader/queue").status_code == 303
    assert ("user.disabled", REASON["reason"]) in office.audited(desk.user.id)
    again = office.post(path, REASON)
    assert again.status_code == 409
    assert "already" in again.get_data(as_text=True)
    assert office.post(f"/admin/people/{desk.user.id}/enabling", REASON, htmx=True).headers["HX-Redirect"]
    assert column("SELECT is_active FROM users WHERE id = %(id)s", id=desk.user.id) == [True]


@pytest.mark.parametrize("what", ["disabling", "enabling", "second-factor/reset", "sessions/end-all"])
def test_nothing_is_done_without_a_reason(office: Office, what: str) -> None:
    somebody = new_user(Role.SUPPORT)
    answer = office.post(f"/admin/people/{somebody.id}/{what}", {"reason": " "})
    assert answer.status_code == 422
    assert office.audited(somebody.id) == []


@pytest.mark.proves("ASVS 33")
@pytest.mark.parametrize("what", ["disabling", "second-factor/reset", "sessions/end-all", "access"])
def test_power_needs_a_fresh_proof(office: Office, what: str) -> None:
    somebody = new_user(Role.SUPPORT)
    forget_proof(office.ada)
    answer = office.post(f"/admin/people/{somebody.id}/{what}", REASON)
    assert answer.status_code == 303
    assert "/sudo" in answer.location
    assert office.audited(somebody.id) == []


def test_an_administrator_does_not_switch_themselves_off(office: Office) -> None:
    assert office.post(f"/admin/people/{office.ada.id}/disabling", REASON).status_code == 403
    assert office.post(f"/admin/people/{office.ada.id}/second-factor/reset", REASON).status_code == 403
    assert column("SELECT is_active FROM users WHERE id = %(id)s", id=office.ada.id) == [True]


def test_a_second_factor_is_taken_away_with_its_sessions(office: Office) -> None:
    somebody = new_user(Role.SUPPORT)
    give_app(somebody)
    assert office.post(f"/admin/people/{somebody.id}/second-factor/reset", REASON).status_code == 303
    assert column("SELECT 1 FROM totp_factor WHERE user_id = %(id)s", id=somebody.id) == []
    assert ("user.factors_reset", REASON["reason"]) in office.audited(somebody.id)
    assert column("SELECT kind FROM mail WHERE recipient = %(to)s", to=somebody.email) == ["security_changed"]


@pytest.mark.proves("ASVS 32")
def test_one_session_is_ended_and_only_of_that_person(office: Office) -> None:
    browser = office.sign_in(office.ben)
    session_id = column("SELECT id FROM user_session WHERE user_id = %(id)s", id=office.ben.id)[0]
    other = new_user(Role.SUPPORT)
    assert office.post(f"/admin/people/{other.id}/sessions/{session_id}/end").status_code == 404
    assert browser.get("/admin").status_code == 200
    assert office.post(f"/admin/people/{office.ben.id}/sessions/{session_id}/end").status_code == 303
    assert browser.get("/admin").status_code == 303
    assert office.post(f"/admin/people/{office.ben.id}/sessions/{session_id}/end").status_code == 404
    assert [action for action, _ in office.audited(office.ben.id)].count("user.session_ended") == 1


def test_strangers_and_other_roles_see_nobody(office: Office, desk: Desk, browser: Browser) -> None:
    paths = (
        "/admin/people",
        "/admin/people.csv",
        f"/admin/people/{office.ben.id}",
        "/admin/approvals",
        "/admin/teams",
    )
    for path in paths:
        assert desk.browser.get(path).status_code == 403
        assert browser.get(path).status_code == 303
    assert desk.browser.post(f"/admin/people/{office.ben.id}/disabling", REASON).status_code == 403
    assert column("SELECT is_active FROM users WHERE id = %(id)s", id=office.ben.id) == [True]
    assert office.browser.get(f"/admin/people/{new_id()}").status_code == 404
