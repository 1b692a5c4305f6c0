"""Passkeys over HTTP, with an authenticator in software: added, used, and refused whenever something is off."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from portal.core.db import hot, transaction
from portal.identity.models import Role, User
from tests.web.auth.authenticator import PRESENT, Authenticator
from tests.web.auth.people import (
    HALF,
    actions_about,
    code_of,
    cookie,
    forget_proof,
    mails_to,
    new_browser,
    pass_password,
)
from tests.web.desk import Browser, new_user

BASE = "/account/security/passkeys"


def challenge(browser: Browser, path: str) -> dict[str, Any]:
    answer = browser.post(path, htmx=False)
    assert answer.status_code == 200, answer.text
    return dict(json.loads(answer.text))


def add_key(browser: Browser, key: Authenticator, name: str = "My phone") -> TestResponse:
    said = key.create(challenge(browser, f"{BASE}/challenge"))
    return browser.post(BASE, {"answer": said, "name": name}, htmx=False)


def answer_step(browser: Browser, said: str) -> TestResponse:
    return browser.post("/sign-in/second-factor/passkey", {"answer": said}, htmx=False)


@pytest.fixture
def keyed(browser: Browser) -> tuple[User, Authenticator]:
    """Somebody who has added a passkey and signed out."""
    user, key = new_user(Role.MERCHANT), Authenticator()
    browser.sign_in(user.email)
    assert add_key(browser, key).text.count("<li><code>") == 10
    browser.client.delete_cookie("nostro_session")
    return user, key


def keys_of(user: User) -> list[dict[str, Any]]:
    with transaction():
        return hot("SELECT * FROM passkey WHERE user_id = %(id)s ORDER BY id", {"id": user.id})


@pytest.mark.proves("ASVS 26")
def test_a_passkey_is_added_and_lets_in_after_the_password(
    keyed: tuple[User, Authenticator], browser: Browser
) -> None:
    user, key = keyed
    assert pass_password(browser, user).location == "/sign-in/second-factor"
    half = cookie(browser, HALF)
    assert 'data-passkey="get"' in browser.get("/sign-in/second-factor").text
    said = key.get(challenge(browser, "/sign-in/second-factor/challenge"))
    assert answer_step(browser, said).status_code == 303
    assert cookie(browser) not in {None, half}
    assert browser.get("/account").status_code == 200
    assert keys_of(user)[0]["sign_count"] == 1
    assert mails_to(user.email)[-1]["params"]["what"] == "passkey_added"
    assert "user.passkey_added" in actions_about(user)


def test_a_second_factor_beside_the_first_leaves_the_recovery_codes_as_they_are(browser: Browser) -> None:
    user, key = new_user(Role.MERCHANT), Authenticator()
    browser.sign_in(user.email)
    secret = propose_app(browser)
    assert browser.post("/account/security/app", {"code": code_of(secret)}, htmx=False).status_code == 200
    browser.read_token("/account/security")
    assert add_key(browser, key).location == "/account/security"
    assert "The passkey is added." in browser.get("/account/security").text
    browser.post("/account/security/app/removal", htmx=False)
    secret = propose_app(browser)
    again = browser.post("/account/security/app", {"code": code_of(secret)}, htmx=False)
    assert (again.status_code, again.location) == (303, "/account/security")
    assert "10 codes are left" in browser.get("/account/security").text


def propose_app(browser: Browser) -> str:
    browser.post("/account/security/app/proposal", htmx=False)
    return browser.get("/account/security/app").text.split('id="app-key">')[1].split("<")[0]


def other_origin(key: Authenticator) -> None:
    key.origin = "https://nostro.evil.example"


def other_house(key: Authenticator) -> None:
    key.rp_id = "evil.example"


def holder_unchecked(key: Authenticator) -> None:
    key.flags = PRESENT


def nobody_there(key: Authenticator) -> None:
    key.flags = 0


def other_key(key: Authenticator) -> None:
    key.key = Authenticator().key


@pytest.mark.proves("attack 60")
@pytest.mark.parametrize("lie", [other_origin, other_house, holder_unchecked, nobody_there, other_key])
def test_row_60_an_answer_that_is_off_opens_nothing(
    keyed: tuple[User, Authenticator], browser: Browser, lie: Callable[[Authenticator], None]
) -> None:
    user, key = keyed
    pass_password(browser, user)
    lie(key)
    said = key.get(challenge(browser, "/sign-in/second-factor/challenge"))
    refused = answer_step(browser, said)
    assert (refused.status_code, cookie(browser)) == (422, None)
    assert "The passkey was not accepted." in refused.text
    assert keys_of(user)[0]["sign_count"] == 0


@pytest.mark.proves("attack 60")
@pytest.mark.parametrize("lie", [other_origin, other_house, holder_unchecked])
def test_row_60_a_key_that_is_off_is_not_added(
    browser: Browser, lie: Callable[[Authenticator], None]
) -> None:
    user, key = new_user(Role.MERCHANT), Authenticator()
    browser.sign_in(user.email)
    lie(key)
    assert add_key(browser, key).status_code == 303
    assert keys_of(user) == []


@pytest.mark.proves("attack 60")
def test_row_60_a_challenge_is_good_once_for_one_session_and_purpose(
    keyed: tuple[User, Authenticator], browser: Browser
) -> None:
    user, key = keyed
    pass_password(browser, user)
    said = key.get(challenge(browser, "/sign-in/second-factor/challenge"))
    other = new_browser(browser)
    pass_password(other, user)
    assert answer_step(other, said).status_code == 422
    challenge(other, "/sign-in/second-factor/challenge")
    assert answer_step(other, said).status_code == 422
    assert answer_step(browser, said).status_code == 303
    forget_proof(user)
    browser.read_token("/account/security")
    assert browser.post("/sudo/passkey", {"answer": said}, htmx=False).status_code == 422
    with transaction():
        assert hot("SELECT 1 FROM passkey_challenge c JOIN user_session s ON s.id = c.session_id "
                   "WHERE s.user_id = %(id)s", {"id": user.id}) == []  # fmt: skip


@pytest.mark.proves("attack 60")
def test_row_60_a_challenge_grows_old(keyed: tuple[User, Authenticator], browser: Browser) -> None:
    user, key = keyed
    pass_password(browser, user)
    said = key.get(challenge(browser, "/sign-in/second-factor/challenge"))
    with transaction():
        sql = """UPDATE passkey_challenge c SET expires_at = now() FROM user_session s
                  WHERE s.id = c.session_id AND s.user_id = %(id)s"""
        hot(sql, {"id": user.id})
    assert answer_step(browser, said).status_code == 422


@pytest.mark.proves("attack 60")
def test_row_60_a_key_that_counts_backwards_is_set_aside_and_its_owner_told(
    keyed: tuple[User, Authenticator], browser: Browser
) -> None:
    user, key = keyed
    with transaction():
        hot("UPDATE passkey SET sign_count = 40 WHERE user_id = %(id)s", {"id": user.id})
    pass_password(browser, user)
    key.count = 11
    said = key.get(challenge(browser, "/sign-in/second-factor/challenge"))
    assert answer_step(browser, said).status_code == 422
    assert cookie(browser) is None
    assert keys_of(user)[0]["set_aside_at"] is not None
    assert mails_to(user.email)[-1]["params"]["what"] == "passkey_set_aside"
    key.count = 50
    said = key.get(challenge(browser, "/sign-in/second-factor/challenge"))
    assert answer_step(browser, said).status_code == 422


@pytest.mark.proves("attack 60")
def test_anothers_passkey_opens_nothing(keyed: tuple[User, Authenticator], browser: Browser) -> None:
    user, _key = keyed
    stranger, theirs = new_user(Role.MERCHANT), Authenticator()
    elsewhere = new_browser(browser)
    elsewhere.sign_in(stranger.email)
    add_key(elsewhere, theirs)
    pass_password(browser, user)
    said = theirs.get(challenge(browser, "/sign-in/second-factor/challenge"))
    assert answer_step(browser, said).status_code == 422


def test_a_passkey_is_a_fresh_proof(keyed: tuple[User, Authenticator], browser: Browser) -> None:
    user, key = keyed
    pass_password(browser, user)
    answer_step(browser, key.get(challenge(browser, "/sign-in/second-factor/challenge")))
    browser.read_token("/account/security")
    forget_proof(user)
    before = cookie(browser)
    said = key.get(challenge(browser, "/sudo/challenge"))
    proven = browser.post("/sudo/passkey", {"answer": said, "next": "/account/security/password"}, htmx=False)
    assert (proven.status_code, proven.location) == (303, "/account/security/password")
    assert cookie(browser) != before
    assert browser.get("/account/security/password").status_code == 200


def test_a_passkey_is_removed_by_its_owner_alone(
    keyed: tuple[User, Authenticator], browser: Browser, in_context: Flask
) -> None:
    user, key = keyed
    key_id = keys_of(user)[0]["id"]
    stranger = Browser(in_context.test_client())
    stranger.sign_in(new_user(Role.MERCHANT).email)
    assert stranger.post(f"{BASE}/{key_id}/removal", htmx=False).status_code == 404
    pass_password(browser, user)
    answer_step(browser, key.get(challenge(browser, "/sign-in/second-factor/challenge")))
    browser.read_token("/account/security")
    assert browser.post(f"{BASE}/{key_id}/removal", htmx=False).status_code == 303
    assert keys_of(user) == []
    assert mails_to(user.email)[-1]["params"]["what"] == "passkey_removed"


@pytest.mark.parametrize(
    "said", ["", "{}", "[]", "null", "x" * 30_000, '{"id": 1}', '{"id":"a","rawId":"b"}']
)
def test_an_answer_that_is_none_is_refused(
    keyed: tuple[User, Authenticator], browser: Browser, said: str
) -> None:
    user, _key = keyed
    pass_password(browser, user)
    challenge(browser, "/sign-in/second-factor/challenge")
    assert answer_step(browser, said).status_code == 422
