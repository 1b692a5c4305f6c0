"""The second step over HTTP: half-sessions open nothing, codes are good once, guessing ends, nobody skips it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from functools import partial

import pyotp
import pytest
from flask import Flask

from portal.core.crypto import token_hash
from portal.core.db import hot, transaction
from portal.identity.models import Role
from portal.identity.proofs.recovery_codes import use_recovery_code
from portal.identity.proofs.second_factor import FactorLimits, TooManyCodes, verify_second_factor
from portal.identity.proofs.totp import use_totp
from tests.web.auth.people import (
    HALF,
    SESSION,
    actions_about,
    code_of,
    cookie,
    forget_used_codes,
    give_codes,
    mails_to,
    pass_code,
    pass_password,
    sign_in_fully,
    with_app,
    wrong_code_of,
)
from tests.web.desk import Browser, new_user


@pytest.mark.parametrize("role", list(Role))
def test_the_right_code_opens_the_session_and_leads_where_one_wanted_to_go(
    browser: Browser, role: Role
) -> None:
    user, secret = with_app(role)
    asked = pass_password(browser, user, "/account?x=1")
    assert asked.location == "/sign-in/second-factor?next=/account?x%3D1"
    answer = pass_code(browser, code_of(secret), next="/account?x=1")
    assert (answer.status_code, answer.location) == (303, "/account?x=1")
    row = _row(cookie(browser) or "")
    assert (row["user_id"], row["stage"]) == (user.id, "open")
    assert row["second_factor_at"] is not None
    assert "session.opened" in actions_about(user)


@pytest.mark.proves("ASVS 31")
def test_a_half_session_opens_nothing(browser: Browser) -> None:
    user, _secret = with_app(Role.TRADER)
    pass_password(browser, user)
    half = cookie(browser, HALF)
    assert half is not None
    assert cookie(browser) is None
    for path in ("/account", "/account/security", "/trader/queue", "/sudo"):
        assert browser.get(path).location.startswith("/sign-in?next="), path
    browser.client.set_cookie(SESSION, half)
    for path in ("/account", "/account/security", "/trader/queue"):
        assert browser.get(path).location.startswith("/sign-in?next="), path


@pytest.mark.proves("attack 50", "ASVS 31")
def test_row_50_each_step_gives_another_token_and_the_half_one_is_worth_nothing_after_it(
    browser: Browser,
) -> None:
    user, secret = with_app()
    browser.client.set_cookie(SESSION, "planted-by-somebody-else")
    browser.client.set_cookie(HALF, "planted-by-somebody-else")
    pass_password(browser, user)
    half = cookie(browser, HALF)
    pass_code(browser, code_of(secret))
    token = cookie(browser)
    assert token not in {half, None, "planted-by-somebody-else"}
    assert half != "planted-by-somebody-else"
    assert cookie(browser, HALF) is None
    browser.client.set_cookie(HALF, half or "")
    assert browser.get("/sign-in/second-factor").location == "/sign-in"


@pytest.mark.proves("attack 47")
def test_row_47_the_sixth_guess_finds_the_sign_in_dead_even_with_the_right_code(browser: Browser) -> None:
    user, secret = with_app()
    pass_password(browser, user)
    for _ in range(4):
        assert pass_code(browser, wrong_code_of(secret)).status_code == 422
    fifth = pass_code(browser, wrong_code_of(secret))
    assert fifth.status_code == 401
    assert "Too many wrong codes. Sign in again." in fifth.text
    assert pass_code(browser, code_of(secret)).status_code == 401
    assert cookie(browser) is None
    with transaction():
        sql = "SELECT revoked_at, stage FROM user_session WHERE user_id = %(id)s"
        assert [(row["revoked_at"] is None, row["stage"]) for row in hot(sql, {"id": user.id})] == [
            (False, "second_factor")
        ]


@pytest.mark.proves("attack 47")
def test_row_47_a_burst_of_guesses_is_cut_off_before_the_code_is_looked_at(browser: Browser) -> None:
    user, secret = with_app()
    pass_password(browser, user)
    with transaction():
        hot("UPDATE user_session SET factor_failures = 5 WHERE user_id = %(id)s", {"id": user.id})
    assert pass_code(browser, code_of(secret)).status_code == 401
    assert cookie(browser) is None


@pytest.mark.proves("attack 47")
def test_row_47_the_account_pauses_after_wrong_codes_and_the_pause_ends(browser: Browser) -> None:
    user, secret = with_app()
    limits = FactorLimits(attempts=5)
    for _ in range(5):
        assert not verify_second_factor(user.id, wrong_code_of(secret), limits=limits)
    with pytest.raises(TooManyCodes) as pause:
        verify_second_factor(user.id, code_of(secret), limits=limits)
    assert 1 <= (pause.value.retry_after_s or 0) <= 900
    pass_password(browser, user)
    answer = pass_code(browser, code_of(secret))
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1
    with transaction():
        sql = "UPDATE factor_attempt SET at = at - interval '901 seconds' WHERE user_id = %(id)s"
        hot(sql, {"id": user.id})
    assert verify_second_factor(user.id, code_of(secret), limits=limits)


@pytest.mark.proves("attack 47", "ASVS 30")
def test_row_47_a_code_is_good_once(browser: Browser, in_context: Flask) -> None:
    user, secret = with_app()
    code = code_of(secret)
    pass_password(browser, user)
    assert pass_code(browser, code).status_code == 303
    other = Browser(in_context.test_client())
    pass_password(other, user)
    replayed = pass_code(other, code)
    assert replayed.status_code == 422
    assert "was used already" in replayed.text
    assert cookie(other) is None


@pytest.mark.proves("attack 47", "ASVS 30")
@pytest.mark.parametrize(("steps", "is_right"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_row_47_one_step_around_now_and_no_more(in_context: Flask, steps: int, is_right: bool) -> None:
    user, secret = with_app()
    forget_used_codes(user)
    # The clock of the database says which step is now: near the end of one, ask it anew.
    with transaction():
        now_s = int(hot("SELECT extract(epoch FROM now())::bigint AS s")[0]["s"])
        assert use_totp(user.id, pyotp.TOTP(secret).at(now_s + 30 * steps)) is is_right


@pytest.mark.proves("attack 47")
def test_row_47_a_later_code_makes_earlier_ones_worthless(in_context: Flask) -> None:
    user, secret = with_app()
    assert verify_second_factor(user.id, code_of(secret, 1))
    assert not verify_second_factor(user.id, code_of(secret))


@pytest.mark.proves("attack 47", "attack 49")
@pytest.mark.races
@pytest.mark.parametrize("kind", ["app", "recovery code"])
def test_rows_47_and_49_of_two_uses_of_one_code_at_once_one_wins(in_context: Flask, kind: str) -> None:
    user, secret = with_app()
    for _round in range(8):
        forget_used_codes(user)
        code = code_of(secret) if kind == "app" else give_codes(user)[0]
        use = use_totp if kind == "app" else use_recovery_code
        gate = threading.Barrier(4)
        won: list[bool] = []

        def try_it(attempt: Callable[[], bool], gate: threading.Barrier, won: list[bool]) -> None:
            with in_context.app_context():
                gate.wait()
                with transaction():
                    won.append(attempt())

        attempt = partial(use, user.id, code)
        threads = [threading.Thread(target=try_it, args=(attempt, gate, won)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(won) == [False, False, False, True]


@pytest.mark.proves("attack 49", "ASVS 27", "ASVS 30")
def test_row_49_a_recovery_code_lets_in_once_and_its_owner_is_told(
    browser: Browser, in_context: Flask
) -> None:
    user, _secret = with_app()
    first, second, *_rest = give_codes(user)
    pass_password(browser, user)
    assert pass_code(browser, first.upper().replace("-", " ")).status_code == 303
    assert "user.recovery_code_used" in actions_about(user)
    assert mails_to(user.email)[-1]["params"]["what"] == "recovery_code_used"
    other = Browser(in_context.test_client())
    pass_password(other, user)
    assert pass_code(other, first).status_code == 422
    assert pass_code(other, second).status_code == 303


@pytest.mark.proves("attack 49")
def test_row_49_anothers_recovery_code_opens_nothing(browser: Browser) -> None:
    user, _secret = with_app()
    stranger, _other = with_app()
    give_codes(user)
    pass_password(browser, user)
    assert pass_code(browser, give_codes(stranger)[0]).status_code == 422


@pytest.mark.proves("ASVS 30")
def test_codes_are_kept_as_keyed_hashes_and_the_secret_encrypted(in_context: Flask) -> None:
    user, secret = with_app()
    codes = give_codes(user)
    with transaction():
        stored = hot("SELECT code_hash FROM recovery_code WHERE user_id = %(id)s", {"id": user.id})
        sealed = hot("SELECT secret_encrypted FROM totp_factor WHERE user_id = %(id)s", {"id": user.id})
    assert len({bytes(row["code_hash"]) for row in stored}) == len(set(codes)) == 10
    assert all(
        code.replace("-", "").encode() not in bytes(row["code_hash"]) for code in codes for row in stored
    )
    assert secret.encode() not in bytes(sealed[0]["secret_encrypted"])


@pytest.mark.proves("ASVS 30")
def test_a_sign_in_that_took_too_long_begins_again(browser: Browser) -> None:
    user, secret = with_app()
    pass_password(browser, user)
    with transaction():
        hot("UPDATE user_session SET expires_at = now() WHERE user_id = %(id)s", {"id": user.id})
    answer = pass_code(browser, code_of(secret))
    assert answer.status_code == 401
    assert "Begin again." in answer.text


@pytest.mark.proves("attack 54")
def test_row_54_the_second_step_needs_the_forms_token(browser: Browser) -> None:
    user, secret = with_app()
    pass_password(browser, user)
    browser.token = "forged"
    assert pass_code(browser, code_of(secret)).status_code == 400
    assert cookie(browser) is None


@pytest.mark.proves("attack 54", "ASVS 15")
def test_row_54_another_site_signs_nobody_in_or_out(browser: Browser) -> None:
    user, secret = with_app()
    pass_password(browser, user)
    cross = {"Sec-Fetch-Site": "cross-site"}
    data = {"csrf_token": browser.token, "code": code_of(secret)}
    assert browser.open("POST", "/sign-in/second-factor", data=data, headers=cross).status_code == 403
    sign_in_fully(browser, user, secret)
    data = {"csrf_token": browser.token}
    assert browser.open("POST", "/sign-out", data=data, headers=cross).status_code == 403
    assert browser.get("/sign-out").status_code == 405
    assert browser.get("/account").status_code == 200


def test_the_second_step_is_named_for_password_managers_and_keyboards(browser: Browser) -> None:
    user, _secret = with_app()
    pass_password(browser, user)
    page = browser.get("/sign-in/second-factor").text
    assert 'autocomplete="one-time-code"' in page
    assert "autofocus" in page
    sign_in = Browser(browser.client.application.test_client()).get("/sign-in").text
    assert 'autocomplete="username"' in sign_in
    assert 'autocomplete="current-password"' in sign_in


@pytest.mark.proves("attack 55")
def test_row_55_headers_that_name_another_address_or_person_change_nothing(browser: Browser) -> None:
    user = new_user(Role.TRADER)
    forged = {
        "X-Forwarded-For": "203.0.113.9", "X-Real-IP": "203.0.113.9", "Forwarded": "for=203.0.113.9",
        "X-User-Id": str(user.id), "X-Original-URL": "/account", "X-Forwarded-Host": "evil.example",
    }  # fmt: skip
    assert browser.open("GET", "/account", headers=forged).location == "/sign-in?next=/account"
    browser.read_token("/sign-in")
    data = {"csrf_token": browser.token, "email": user.email, "password": "not this one"}
    browser.open("POST", "/sign-in", data=data, headers=forged)
    with transaction():
        sql = "SELECT host(ip) AS ip FROM sign_in_attempt WHERE email = %(email)s"
        assert [row["ip"] for row in hot(sql, {"email": user.email})] == ["127.0.0.1"]


def _row(token: str) -> dict[str, object]:
    with transaction():
        return hot("SELECT * FROM user_session WHERE token_hash = %(hash)s", {"hash": token_hash(token)})[0]


def test_nobody_is_let_in_by_a_second_factor_alone(browser: Browser) -> None:
    user, secret = with_app()
    browser.read_token("/sign-in")
    assert pass_code(browser, code_of(secret)).status_code == 401
    browser.client.set_cookie(HALF, uuid.uuid4().hex)
    assert pass_code(browser, code_of(secret)).status_code == 401
    assert cookie(browser) is None
    assert actions_about(user) == []
