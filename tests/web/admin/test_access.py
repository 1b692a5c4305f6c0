"""Changing what somebody may do: seen first, then done, by two where it moves money."""

from __future__ import annotations

import html
from typing import Any

import pytest

from portal.core.db import hot, transaction
from portal.identity.models import Role, User
from tests.web.admin.office import Office, column, value_of
from tests.web.desk import Browser, new_user

HARMLESS = {"permission-merchant:view": "denied"}
MONEY = {"permission-payin:confirm": "team"}
GRANTS = "SELECT permission || ' ' || coalesce(reach, 'denied') FROM permission_grant WHERE user_id = %(id)s"


def seen(
    office: Office, user: User, chosen: dict[str, Any], browser: Browser | None = None
) -> tuple[str, str]:
    """The page that says what would change, and its mark."""
    answer = (browser or office.browser).post(
        f"/admin/people/{user.id}/access/preview", {"role": "support"} | chosen, htmx=False
    )
    assert answer.status_code == 200
    page = html.unescape(answer.get_data(as_text=True))
    return page, value_of(page, "seen")


def apply(
    office: Office, user: User, chosen: dict[str, Any], mark: str, reason: str = "Training", **how: bool
) -> Any:
    sent = {"role": "support", "seen": mark, "reason": reason} | chosen
    return office.post(f"/admin/people/{user.id}/access", sent, **how)


def ask(office: Office) -> tuple[User, str]:
    somebody = new_user(Role.SUPPORT)
    _page, mark = seen(office, somebody, MONEY)
    answer = apply(office, somebody, MONEY, mark)
    assert answer.status_code == 303
    assert "/admin/approvals/" in answer.location
    return somebody, answer.location.rpartition("/admin/approvals/")[2]


def test_the_preview_names_what_is_gained_and_lost_and_changes_nothing(office: Office) -> None:
    somebody = new_user(Role.SUPPORT)
    page, _mark = seen(office, somebody, HARMLESS | {"permission-person:export": "all"})
    difference = page.partition('id="difference"')[2].partition("</dl>")[0]
    assert "person:export" in difference.partition("lost")[0]
    assert "merchant:view" in difference.rpartition("gained")[2]
    assert column(GRANTS, id=somebody.id) == []
    assert office.audited(somebody.id) == []


def test_what_was_seen_is_what_is_done(office: Office) -> None:
    somebody = new_user(Role.SUPPORT)
    _page, mark = seen(office, somebody, HARMLESS)
    other = apply(office, somebody, HARMLESS | {"permission-person:export": "all"}, mark)
    assert other.status_code == 409
    assert column(GRANTS, id=somebody.id) == []
    assert apply(office, somebody, HARMLESS, mark, reason=" ").status_code == 422
    assert apply(office, somebody, HARMLESS, mark).status_code == 303
    assert column(GRANTS, id=somebody.id) == ["merchant:view denied"]
    assert ("access.changed", "Training") in office.audited(somebody.id)
    assert apply(office, somebody, HARMLESS, mark).status_code == 422


def test_the_change_works_with_htmx_and_holds_with_the_next_request(office: Office) -> None:
    somebody = new_user(Role.SUPPORT)
    theirs = office.sign_in(somebody)
    assert theirs.get("/support").status_code == 200
    chosen = {"permission-support_home:view": "denied"}
    sent = {"role": "support"} | chosen
    part = office.post(f"/admin/people/{somebody.id}/access/preview", sent, htmx=True)
    assert part.status_code == 200
    assert part.get_data(as_text=True).lstrip().startswith("<form")
    answer = apply(office, somebody, chosen, value_of(part.get_data(as_text=True), "seen"), htmx=True)
    assert answer.headers["HX-Redirect"].endswith(str(somebody.id))
    assert theirs.get("/support").status_code == 403


@pytest.mark.proves("attack 69", "ASVS 7")
def test_row_69_money_takes_a_second_person_and_never_the_one_who_asked(office: Office) -> None:
    somebody, request_id = ask(office)
    assert column(GRANTS, id=somebody.id) == []
    told = "SELECT user_id FROM notification WHERE kind = 'approval_wanted' AND about = %(about)s"
    assert office.ben.id in column(told, about=request_id)
    page = office.browser.get(f"/admin/approvals/{request_id}").get_data(as_text=True)
    assert "another administrator decides" in page
    ben = office.sign_in(office.ben)
    mark = value_of(ben.get(f"/admin/approvals/{request_id}").get_data(as_text=True), "seen")
    decision = {"seen": mark, "decision": "approve"}
    path = f"/admin/approvals/{request_id}/decision"
    assert office.post(path, decision).status_code == 403
    assert ben.post(path, {"seen": "00" * 32, "decision": "approve"}, htmx=False).status_code == 409
    assert ben.post(path, {"seen": mark, "decision": "maybe"}, htmx=False).status_code == 422
    assert column(GRANTS, id=somebody.id) == []
    assert ben.post(path, decision, htmx=False).status_code == 303
    assert column(GRANTS, id=somebody.id) == ["payin:confirm team"]
    assert ben.post(path, decision, htmx=False).status_code == 303, (
        "the same press once more does nothing more"
    )
    assert column(GRANTS, id=somebody.id) == ["payin:confirm team"]
    actions = [action for action, _reason in office.audited(somebody.id)]
    assert actions == ["approval.requested", "approval.approved", "access.changed"]


def test_what_was_asked_for_is_refused_or_withdrawn(office: Office) -> None:
    somebody, request_id = ask(office)
    ben = office.sign_in(office.ben)
    assert ben.post(f"/admin/approvals/{request_id}/withdrawal", htmx=False).status_code == 404
    for _press in range(2):
        assert office.post(f"/admin/approvals/{request_id}/withdrawal").status_code == 303
    assert [action for action, _reason in office.audited(somebody.id)].count("approval.withdrawn") == 1
    other, other_id = ask(office)
    mark = value_of(ben.get(f"/admin/approvals/{other_id}").get_data(as_text=True), "seen")
    refusal = {"seen": mark, "decision": "refuse", "reason": "Not now"}
    assert ben.post(f"/admin/approvals/{other_id}/decision", refusal, htmx=False).status_code == 303
    assert column(GRANTS, id=somebody.id) == column(GRANTS, id=other.id) == []
    assert ("approval.refused", "Not now") in office.audited(other.id)


@pytest.mark.proves("attack 69")
def test_row_69_nobody_changes_their_own_access(office: Office) -> None:
    for path in ("access/preview", "access"):
        assert (
            office.post(f"/admin/people/{office.ada.id}/{path}", MONEY | {"role": "admin"}).status_code == 403
        )
    assert office.browser.get(f"/admin/people/{office.ada.id}/access").status_code == 403
    assert column(GRANTS, id=office.ada.id) == []


def test_a_role_that_comes_with_more_than_permissions_is_not_given_by_the_form(office: Office) -> None:
    somebody = new_user(Role.SUPPORT)
    answer = office.post(
        f"/admin/people/{somebody.id}/access/preview", {"role": ["support", "trader", "merchant"]}
    )
    assert answer.status_code == 422
    roles = "SELECT role FROM user_role WHERE user_id = %(id)s"
    assert column(roles, id=somebody.id) == ["support"]


@pytest.mark.proves("attack 66")
def test_row_66_a_permission_for_ones_team_opens_no_page_about_everybody(office: Office) -> None:
    somebody = new_user(Role.SUPPORT)
    chosen = {
        "permission-admin_home:view": "all",
        "permission-team:view": "all",
        "permission-audit:view": "team",
    }
    _page, mark = seen(office, somebody, chosen | {"permission-merchant:view": "denied"})
    assert apply(office, somebody, chosen | {"permission-merchant:view": "denied"}, mark).status_code == 303
    with transaction():
        hot("DELETE FROM user_role WHERE user_id = %(u)s", {"u": somebody.id})
    theirs = office.sign_in(somebody)
    assert theirs.get("/admin/teams").status_code == 200
    with transaction():
        sql = "UPDATE permission_grant SET reach = 'team' WHERE user_id = %(u)s AND permission = 'team:view'"
        hot(sql, {"u": somebody.id})
    refused = theirs.get("/admin/teams")
    assert refused.status_code == 403
    assert "team:view" in refused.get_data(as_text=True)
