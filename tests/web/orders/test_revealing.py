"""A requisite's whole number: for a reason, with a fresh proof, once, and in no log."""

from __future__ import annotations

import logging
import re

import pytest

from portal.core.db import hot, transaction
from portal.core.ids import public_id
from portal.identity.models import Role
from portal.traders.queries import requisite_number
from tests.web.desk import Desk
from tests.web.orders.test_verbs import signed_in


def compact(html: str) -> str:
    return re.sub(r"<[^>]+>|\s|\u00a0", "", html)


@pytest.mark.parametrize("home", ["support", "admin"])
def test_who_needs_no_number_finds_a_way_back(desk: Desk, home: str) -> None:
    browser, order = signed_in(desk, Role(home)), desk.payin(1500_00)
    number = public_id("ord", order.id)
    path = f"/{home}/requisites/{desk.requisite.id}/number"
    away = f"/admin/requisites/{desk.requisite.id}" if home == "admin" else "/support/orders"
    for asked, back in ((path, away), (f"{path}?order={number}", f"/{home}/orders/{number}")):
        page = browser.get(asked)
        assert page.status_code == 200
        assert f'<a class="btn" href="{back}">Not now</a>' in page.text


@pytest.mark.proves("ASVS 38")
@pytest.mark.parametrize("home", ["support", "admin"])
def test_the_number_is_shown_once_for_a_reason_that_is_kept(
    desk: Desk, caplog: pytest.LogCaptureFixture, home: str
) -> None:
    browser, order = signed_in(desk, Role(home)), desk.payin(1500_00)
    with transaction():
        number = requisite_number(desk.requisite.id)
    page = browser.get(f"/{home}/orders/{public_id('ord', order.id)}").text
    [link] = re.findall(rf'href="(/{home}/requisites/[^"]+)"', page)
    asked = browser.get(link)
    assert number not in compact(asked.text)
    with caplog.at_level(logging.DEBUG):
        refused = browser.post(link, {"reason": "why"}, htmx=False)
        shown = browser.post(link, {"reason": "The bank asks for it"}, htmx=False)
    assert (refused.status_code, shown.status_code) == (422, 200)
    assert number not in compact(refused.text)
    assert number in compact(shown.text)
    assert shown.headers["Cache-Control"] == "no-store"
    assert number not in compact(browser.get(link).text), "not a second time without a reason"
    assert number not in caplog.text
    with transaction():
        entries = hot(
            "SELECT action, after, reason FROM audit_entry WHERE subject_id = %(id)s AND action = 'number.revealed'",
            {"id": str(desk.requisite.id)},
        )
    assert [(entry["after"]["number"], entry["reason"]) for entry in entries] == [
        (f"***{number[-4:]}", "The bank asks for it")
    ]


def test_without_a_fresh_proof_or_the_permission_there_is_no_number(desk: Desk) -> None:
    path = f"/support/requisites/{desk.requisite.id}/number"
    sue, ada = signed_in(desk, Role.SUPPORT), signed_in(desk, Role.ADMIN)
    with transaction():
        hot("UPDATE user_session SET sudo_until = NULL")
    for answer in (sue.get(path), sue.post(path, {"reason": "The bank asks for it"}, htmx=False)):
        assert answer.status_code == 303
        assert answer.location.startswith("/sudo")
    assert ada.get(path).status_code == 403
    assert desk.browser.get(path).status_code == 403
    with transaction():
        hot("UPDATE user_session SET sudo_until = now() + interval '5 minutes'")
        hot(
            "INSERT INTO permission_grant (user_id, permission, is_denied, granted_by, reason)"
            " SELECT DISTINCT user_id, 'number:reveal', true, user_id, 'test' FROM user_role WHERE role = 'support'"
        )
    assert sue.get(path).status_code == 403, "denied to her by name"
