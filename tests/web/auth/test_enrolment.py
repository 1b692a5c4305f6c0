"""Who must have a second factor, and what is open to them without one."""

from __future__ import annotations

import pytest
from flask import Flask

from portal.core.actors import SYSTEM
from portal.core.db import hot, transaction
from portal.identity.models import Role, User
from portal.reference import setting_changes
from tests.web.auth.people import code_of, give_app, pass_code, pass_password
from tests.web.desk import HTMX, Browser, new_user

WITH_DUTY = [Role.ADMIN, Role.SUPPORT, Role.LEAD, Role.TRADER]


def over(user: User, days: int = 8) -> User:
    """As if the role had been given so many days ago."""
    with transaction():
        sql = "UPDATE user_role SET created_at = now() - make_interval(days => %(d)s::int) WHERE user_id = %(id)s"
        hot(sql, {"id": user.id, "d": days})
    return user


@pytest.mark.proves("ASVS 26")
@pytest.mark.parametrize("role", WITH_DUTY)
def test_within_the_grace_one_works_and_after_it_adds_a_factor_first(browser: Browser, role: Role) -> None:
    user = new_user(role)
    browser.sign_in(user.email)
    assert browser.get("/account/notifications").status_code == 200
    over(user, 6)
    assert browser.get("/account/notifications").status_code == 200
    over(user)
    assert browser.get("/account/notifications").location == "/account/security"
    assert (
        browser.open("GET", "/account/notifications", headers=HTMX).headers["HX-Redirect"]
        == "/account/security"
    )
    stream = browser.open("GET", "/streams/bell", headers={"Accept": "text/event-stream"})
    assert stream.status_code == 403
    assert browser.get("/account/security").status_code == 200
    browser.post("/account/security/app/proposal", htmx=False)
    secret = browser.get("/account/security/app").text.split('id="app-key">')[1].split("<")[0]
    assert browser.post("/account/security/app", {"code": code_of(secret)}, htmx=False).status_code == 200
    assert browser.get("/account/notifications").status_code == 200


def test_a_merchants_member_may_do_without(browser: Browser) -> None:
    user = over(new_user(Role.MERCHANT), 300)
    browser.sign_in(user.email)
    assert browser.get("/account/notifications").status_code == 200


def test_a_new_sign_in_does_not_begin_the_grace_anew(browser: Browser) -> None:
    user = over(new_user(Role.ADMIN))
    assert pass_password(browser, user).status_code == 303
    assert browser.get("/account/notifications").location == "/account/security"


def test_who_has_a_factor_is_not_held_up(browser: Browser) -> None:
    user = over(new_user(Role.ADMIN))
    secret = give_app(user)
    pass_password(browser, user)
    pass_code(browser, code_of(secret))
    assert browser.get("/account/notifications").status_code == 200


def test_the_grace_is_a_setting(browser: Browser, in_context: Flask) -> None:
    user = new_user(Role.SUPPORT)
    browser.sign_in(user.email)
    with transaction():
        setting_changes.set_value("second_factor_grace_s", 0, SYSTEM)
    try:
        assert browser.get("/account/notifications").location == "/account/security"
    finally:
        with transaction():
            setting_changes.reset("second_factor_grace_s", SYSTEM)
    assert browser.get("/account/notifications").status_code == 200
