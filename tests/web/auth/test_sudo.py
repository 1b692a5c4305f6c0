"""A fresh proof before what grants power: it expires, gives another token, and can't be guessed or skipped."""

from __future__ import annotations

import pytest
from flask import Flask

from portal.core.db import hot, transaction
from portal.identity.models import Role
from tests.web.auth.people import (
    SESSION,
    actions_about,
    code_of,
    cookie,
    forget_proof,
    forget_used_codes,
    give_codes,
    mails_to,
    new_browser,
    sign_in_fully,
    with_app,
    wrong_code_of,
)
from tests.web.desk import PASSWORD, Browser, new_user

GUARDED = [
    ("GET", "/account/security/password"),
    ("POST", "/account/security/password"),
    ("POST", "/account/security/app/proposal"),
    ("GET", "/account/security/app"),
    ("POST", "/account/security/app"),
    ("POST", "/account/security/app/removal"),
    ("POST", "/account/security/recovery-codes"),
    ("POST", "/account/security/passkeys/challenge"),
    ("POST", "/account/security/passkeys"),
    ("POST", "/account/security/passkeys/019af5d0-0000-7000-8000-000000000000/removal"),
]


def state_of(browser: Browser) -> str:
    """Everything that the guarded routes could change."""
    sql = """SELECT (SELECT jsonb_agg(u ORDER BY id) FROM users u)::text || (SELECT jsonb_agg(t ORDER BY user_id)
      FROM totp_factor t)::text || coalesce((SELECT jsonb_agg(c ORDER BY id) FROM recovery_code c)::text, '') AS all"""
    with transaction():
        return str(hot(sql)[0]["all"])


@pytest.mark.proves("attack 48", "ASVS 33")
@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_row_48_nothing_about_factors_or_passwords_without_a_fresh_proof(
    browser: Browser, method: str, path: str
) -> None:
    user, secret = with_app()
    give_codes(user)
    sign_in_fully(browser, user, secret)
    forget_proof(user)
    before = state_of(browser)
    data = {
        "csrf_token": browser.token,
        "code": code_of(secret),
        "current": PASSWORD,
        "password": "a new one 1234",
    }
    answer = browser.open(method, path, data=data if method == "POST" else None)
    assert answer.status_code == 303
    assert answer.location.startswith("/sudo")
    assert state_of(browser) == before
    fragment = browser.open(
        method, path, data=data if method == "POST" else None, headers={"HX-Request": "true"}
    )
    assert (fragment.status_code, fragment.headers["HX-Redirect"][:5]) == (204, "/sudo")


def test_a_password_proves_who_has_no_factor_and_gives_another_token(browser: Browser) -> None:
    user = new_user(Role.MERCHANT)
    browser.sign_in(user.email)
    forget_proof(user)
    assert browser.get("/account/security/password").location == "/sudo?next=/account/security/password"
    before = cookie(browser)
    wrong = browser.post("/sudo", {"password": "not this one", "next": "/account"}, htmx=False)
    assert (wrong.status_code, cookie(browser)) == (422, before)
    right = browser.post("/sudo", {"password": PASSWORD, "next": "/account/security/password"}, htmx=False)
    assert (right.status_code, right.location) == (303, "/account/security/password")
    assert cookie(browser) != before
    assert browser.get("/account/security/password").status_code == 200
    browser.client.set_cookie(SESSION, before or "")
    assert browser.get("/account").location == "/sign-in?next=/account"


def test_who_has_a_factor_proves_that_and_not_the_password(browser: Browser) -> None:
    user, secret = with_app()
    sign_in_fully(browser, user, secret)
    forget_proof(user)
    assert browser.post("/sudo", {"password": PASSWORD}, htmx=False).status_code == 422
    assert browser.post("/sudo", {"code": wrong_code_of(secret)}, htmx=False).status_code == 422
    assert browser.get("/account/security/password").status_code == 303
    assert browser.post("/sudo", {"code": code_of(secret)}, htmx=False).status_code == 303
    assert browser.get("/account/security/password").status_code == 200


@pytest.mark.proves("attack 48")
def test_row_48_guessing_the_proof_brings_a_pause(browser: Browser) -> None:
    user, secret = with_app()
    sign_in_fully(browser, user, secret)
    forget_proof(user)
    answers = [browser.post("/sudo", {"code": wrong_code_of(secret)}, htmx=False) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [422] * 5 + [429]
    assert int(answers[-1].headers["Retry-After"]) >= 1


def test_the_proof_leads_back_to_the_page_of_the_form_and_never_elsewhere(browser: Browser) -> None:
    user = new_user(Role.MERCHANT)
    browser.sign_in(user.email)
    forget_proof(user)
    data = {"csrf_token": browser.token}
    headers = {"Referer": "http://localhost/account/security"}
    asked = browser.open("POST", "/account/security/app/proposal", data=data, headers=headers)
    assert asked.location == "/sudo?next=/account/security"
    proven = browser.post("/sudo", {"password": PASSWORD, "next": "//evil.example"}, htmx=False)
    assert proven.location == "/"


@pytest.mark.proves("ASVS 27")
def test_an_app_is_set_up_by_scanning_and_typing_back(browser: Browser, in_context: Flask) -> None:
    user = new_user(Role.TRADER)
    other = Browser(in_context.test_client())
    other.sign_in(user.email)
    browser.sign_in(user.email)
    assert browser.post("/account/security/app/proposal", htmx=False).location == "/account/security/app"
    page = browser.get("/account/security/app").text
    secret = page.split('id="app-key">')[1].split("<")[0]
    assert 'src="data:image/svg+xml' in page
    before = cookie(browser)
    assert (
        browser.post("/account/security/app", {"code": wrong_code_of(secret)}, htmx=False).status_code == 422
    )
    done = browser.post("/account/security/app", {"code": code_of(secret)}, htmx=False)
    assert done.status_code == 200
    assert done.text.count("<li><code>") == 10
    assert cookie(browser) != before
    assert browser.get("/account/security").status_code == 200
    # Sessions from before the factor are over, and their owner is told.
    assert other.get("/account").status_code == 303
    assert mails_to(user.email)[-1]["params"]["what"] == "app_added"
    assert "user.app_added" in actions_about(user)
    # The secret is shown to nobody once it counts.
    assert browser.get("/account/security/app").location == "/account/security"
    assert secret not in browser.get("/account/security").text


@pytest.mark.proves("attack 48")
def test_row_48_a_code_of_anothers_secret_confirms_nothing(browser: Browser) -> None:
    _stranger, others_secret = with_app()
    user = new_user(Role.TRADER)
    browser.sign_in(user.email)
    browser.post("/account/security/app/proposal", htmx=False)
    assert (
        browser.post("/account/security/app", {"code": code_of(others_secret)}, htmx=False).status_code == 422
    )
    with transaction():
        sql = "SELECT confirmed_at FROM totp_factor WHERE user_id = %(id)s"
        assert hot(sql, {"id": user.id})[0]["confirmed_at"] is None


def test_new_recovery_codes_make_the_former_ones_worthless(browser: Browser) -> None:
    user, secret = with_app()
    former = give_codes(user)
    sign_in_fully(browser, user, secret)
    page = browser.post("/account/security/recovery-codes", htmx=False)
    assert page.text.count("<li><code>") == 10
    assert not any(code in page.text for code in former)
    forget_proof(user)
    assert browser.post("/sudo", {"code": former[0]}, htmx=False).status_code == 422


@pytest.mark.proves("ASVS 32", "attack 51")
def test_removing_the_app_ends_other_sessions_and_is_told(browser: Browser, in_context: Flask) -> None:
    user, secret = with_app(Role.MERCHANT)
    give_codes(user)
    other = Browser(in_context.test_client())
    sign_in_fully(other, user, secret)
    sign_in_fully(browser, user, secret)
    assert browser.post("/account/security/app/removal", htmx=False).status_code == 303
    assert other.get("/account").status_code == 303
    assert browser.get("/account").status_code == 200
    assert mails_to(user.email)[-1]["params"]["what"] == "app_removed"
    with transaction():
        assert hot("SELECT 1 FROM recovery_code WHERE user_id = %(id)s", {"id": user.id}) == []


@pytest.mark.proves("attack 51", "ASVS 32")
def test_row_51_a_changed_password_ends_every_other_session(browser: Browser, in_context: Flask) -> None:
    user = new_user(Role.MERCHANT)
    stolen = Browser(in_context.test_client())
    stolen.sign_in(user.email)
    browser.sign_in(user.email)
    before = cookie(browser)
    new = "a much better password"
    wrong = browser.post("/account/security/password", {"current": "guess", "password": new}, htmx=False)
    assert wrong.status_code == 422
    assert "This is not your password." in wrong.text
    assert stolen.get("/account").status_code == 200
    done = browser.post("/account/security/password", {"current": PASSWORD, "password": new}, htmx=False)
    assert (done.status_code, done.location) == (303, "/account/security")
    assert cookie(browser) != before
    assert browser.get("/account").status_code == 200
    assert stolen.get("/account").location == "/sign-in?next=/account"
    assert stolen.sign_in(user.email).status_code == 422
    assert stolen.sign_in(user.email, new).status_code == 303
    assert actions_about(user).count("user.password_changed") == 1


@pytest.mark.proves("attack 46", "ASVS 24")
@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("short", "Use at least 12 characters."),
        ("a" * 129, "Use at most 128 characters."),
        ("ж" * 128 + "ж", "Use at most 128 characters."),
        ("LeaveMeAlone", "Many people use this password"),
    ],
)
def test_row_46_a_password_is_judged_by_length_and_by_what_everybody_uses(
    browser: Browser, password: str, words: str
) -> None:
    user = new_user(Role.MERCHANT)
    browser.sign_in(user.email)
    answer = browser.post(
        "/account/security/password", {"current": PASSWORD, "password": password}, htmx=False
    )
    assert answer.status_code == 422
    assert words in answer.text
    assert new_browser(browser).sign_in(user.email).status_code == 303


@pytest.mark.proves("attack 46", "ASVS 24")
def test_row_46_a_password_is_taken_exactly_as_typed(browser: Browser) -> None:
    user = new_user(Role.MERCHANT)
    browser.sign_in(user.email)
    exact = "  ﬁne \u00c5 spaced  words "
    browser.post("/account/security/password", {"current": PASSWORD, "password": exact}, htmx=False)
    for other in (exact.strip(), exact.replace("ﬁ", "fi"), exact.replace("\u00c5", "A\u030a"), exact.lower()):
        assert new_browser(browser).sign_in(user.email, other).status_code == 422, other
    assert new_browser(browser).sign_in(user.email, "x" * 1_000_000).status_code in {413, 422}
    assert new_browser(browser).sign_in(user.email, exact).status_code == 303


def test_sessions_are_listed_to_their_owner_and_ended_one_by_one(browser: Browser, in_context: Flask) -> None:
    user = new_user(Role.MERCHANT)
    other = Browser(in_context.test_client())
    other.sign_in(user.email)
    browser.sign_in(user.email)
    page = browser.get("/account/security").text
    assert page.count("/sessions/") == 2  # one to end, and all others
    other_id = page.split("/account/security/sessions/")[1].split("/")[0]
    assert browser.post(f"/account/security/sessions/{other_id}/end", htmx=False).status_code == 303
    assert other.get("/account").status_code == 303
    assert browser.get("/account").status_code == 200
    assert "session.revoked" in actions_about(user)


@pytest.mark.proves("attack 61")
def test_row_61_anothers_session_is_not_there(browser: Browser, in_context: Flask) -> None:
    victim = new_user(Role.MERCHANT)
    theirs = Browser(in_context.test_client())
    theirs.sign_in(victim.email)
    with transaction():
        row = hot("SELECT id FROM user_session WHERE user_id = %(id)s", {"id": victim.id})[0]
    browser.sign_in(new_user(Role.MERCHANT).email)
    assert browser.post(f"/account/security/sessions/{row['id']}/end", htmx=False).status_code == 404
    assert theirs.get("/account").status_code == 200


def test_all_other_sessions_end_at_once(browser: Browser, in_context: Flask) -> None:
    user = new_user(Role.MERCHANT)
    others = [Browser(in_context.test_client()) for _ in range(2)]
    for other in others:
        other.sign_in(user.email)
    browser.sign_in(user.email)
    assert browser.post("/account/security/sessions/end-others", htmx=False).status_code == 303
    assert [other.get("/account").status_code for other in others] == [303, 303]
    assert browser.get("/account").status_code == 200
    forget_used_codes(user)
