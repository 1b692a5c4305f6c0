"""A form is believed by the token of the session that was shown it, and by no other."""

from __future__ import annotations

import pytest
from flask import Flask

from portal.identity.models import Role
from tests.web.desk import Browser, new_user


def test_a_form_of_another_session_is_refused_even_of_the_same_person(in_context: Flask) -> None:
    user = new_user(Role.TRADER)
    here, elsewhere = Browser(in_context.test_client()), Browser(in_context.test_client())
    here.begin_session(user)
    elsewhere.begin_session(user)
    assert here.token != elsewhere.token
    for token in (elsewhere.token, "", "x" * 10_000, here.token.upper(), f"{here.token} ", "\N{SNOWMAN}"):
        answer = here.open("POST", "/sign-out", data={"csrf_token": token})
        assert answer.status_code == 400, token[:40]
    assert here.get("/account").status_code == 200
    assert here.open("POST", "/sign-out", data={"csrf_token": here.token}).status_code == 303
    assert here.get("/account").status_code == 303
    assert elsewhere.get("/account").status_code == 200


def test_the_sign_in_forms_token_is_worth_nothing_once_somebody_is_signed_in(in_context: Flask) -> None:
    user = new_user(Role.TRADER)
    browser = Browser(in_context.test_client())
    before = browser.read_token("/sign-in")
    browser.sign_in(user.email)
    assert browser.open("POST", "/sign-out", data={"csrf_token": before}).status_code == 400
    assert browser.get("/account").status_code == 200


def test_a_token_that_nobody_was_shown_signs_nobody_in(in_context: Flask) -> None:
    user, browser = new_user(Role.TRADER), Browser(in_context.test_client())
    stranger = Browser(in_context.test_client())
    stranger.begin_session(user)
    browser.read_token("/sign-in")
    for token in (stranger.token, ""):
        data = {"csrf_token": token, "email": user.email, "password": "correct horse battery"}
        assert browser.open("POST", "/sign-in", data=data).status_code == 400


def test_pages_of_somebody_signed_in_set_no_cookie_of_forms(in_context: Flask) -> None:
    browser = Browser(in_context.test_client())
    browser.begin_session(new_user(Role.TRADER))
    assert not browser.get("/trader/queue").headers.getlist("Set-Cookie")
    assert "nostro_form" not in {cookie.key for cookie in browser.client._cookies.values()}


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_the_right_token_from_another_site_is_refused(in_context: Flask, site: str) -> None:
    browser = Browser(in_context.test_client())
    browser.begin_session(new_user(Role.TRADER))
    answer = browser.open(
        "POST", "/sign-out", data={"csrf_token": browser.token}, headers={"Sec-Fetch-Site": site}
    )
    assert answer.status_code == 403
    assert browser.get("/account").status_code == 200
