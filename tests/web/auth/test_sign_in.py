"""Signing in and out: sessions are rows, the answer never tells who exists, pauses grow and end."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest
from flask import Flask

from portal.core.crypto import token_hash
from portal.core.db import hot, transaction
from portal.core.limits import counted_network
from portal.identity.models import Role
from portal.identity.proofs.passwords import hash_password, is_password_right
from portal.identity.queries import find_session
from portal.identity.signing_in.sign_in import SignInLimits, TooManySignIns, check_credentials
from portal.web.shell.next_page import safe_next
from tests.web.desk import PASSWORD, Browser, new_user

COOKIE = "nostro_session"
LIMITS = SignInLimits(per_email=3, per_ip=1000, window_s=900)


def token_of(browser: Browser) -> str:
    cookie = browser.client.get_cookie(COOKIE)
    assert cookie is not None
    return cookie.value


def session_row(token: str) -> dict[str, Any]:
    with transaction():
        return hot("SELECT * FROM user_session WHERE token_hash = %(hash)s", {"hash": token_hash(token)})[0]


def test_a_trader_lands_in_the_queue(browser: Browser) -> None:
    user = new_user(Role.TRADER)
    answer = browser.sign_in(user.email.upper())
    assert (answer.status_code, answer.location) == (303, "/")
    assert browser.get("/").location == "/trader/queue"
    assert session_row(token_of(browser))["user_id"] == user.id


@pytest.mark.parametrize(
    ("role", "home"),
    # Whoever is no member of a merchant yet has nothing but their account.
    [(Role.MERCHANT, "/account"), (Role.LEAD, "/lead"), (Role.SUPPORT, "/support"), (Role.ADMIN, "/admin")],
)
def test_other_roles_land_on_their_home(browser: Browser, role: Role, home: str) -> None:
    user = new_user(role)
    browser.sign_in(user.email)
    assert browser.get("/").location == home
    page = browser.get("/account")
    assert page.status_code == 200
    assert user.email in page.text


@pytest.mark.proves("ASVS 10", "ASVS 31")
def test_the_cookie_is_out_of_reach_and_only_its_hash_is_stored(browser: Browser) -> None:
    answer = browser.sign_in(new_user(Role.TRADER).email)
    cookie = next(line for line in answer.headers.getlist("Set-Cookie") if line.startswith(COOKIE))
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert token_of(browser).encode() not in session_row(token_of(browser))["token_hash"]


@pytest.mark.proves("attack 50")
def test_row_50_each_sign_in_has_a_session_of_its_own_and_ends_the_one_before(browser: Browser) -> None:
    user = new_user(Role.TRADER)
    browser.sign_in(user.email)
    first = token_of(browser)
    token = browser.token
    browser.open("POST", "/sign-in", data={"csrf_token": token, "email": user.email, "password": PASSWORD})
    assert token_of(browser) != first
    assert session_row(first)["revoked_at"] is not None


@pytest.mark.proves("attack 51", "ASVS 32")
def test_row_51_signing_out_ends_the_session_at_once(browser: Browser) -> None:
    browser.sign_in(new_user(Role.TRADER).email)
    token = token_of(browser)
    answer = browser.post("/sign-out", htmx=False)
    assert (answer.status_code, answer.location) == (303, "/sign-in")
    assert session_row(token)["revoked_at"] is not None
    browser.client.set_cookie(COOKIE, token)
    assert browser.get("/account").status_code == 303


@pytest.mark.proves("attack 54")
def test_row_54_signing_out_needs_the_forms_token(browser: Browser) -> None:
    browser.sign_in(new_user(Role.TRADER).email)
    browser.token = "forged"
    assert browser.post("/sign-out", htmx=False).status_code == 400
    assert session_row(token_of(browser))["revoked_at"] is None


@pytest.mark.proves("ASVS 32")
@pytest.mark.parametrize(
    "change",
    [
        "expires_at = now() - interval '1 second'",
        "last_seen_at = now() - interval '9 hours'",
        "revoked_at = now()",
    ],
)
def test_a_session_that_is_over_opens_nothing(browser: Browser, change: str) -> None:
    browser.sign_in(new_user(Role.TRADER).email)
    with transaction():
        hot(
            f"UPDATE user_session SET {change} WHERE token_hash = %(hash)s",
            {"hash": token_hash(token_of(browser))},
        )
    assert browser.get("/account").location == "/sign-in?next=/account"


@pytest.mark.proves("attack 51")
def test_row_51_an_inactive_account_opens_nothing(browser: Browser) -> None:
    user = new_user(Role.TRADER)
    browser.sign_in(user.email)
    with transaction():
        hot("UPDATE users SET is_active = false WHERE id = %(id)s", {"id": user.id})
    assert browser.get("/account").status_code == 303
    assert browser.sign_in(user.email).status_code == 422


@pytest.mark.proves("ASVS 32")
def test_polling_alone_does_not_keep_a_session(browser: Browser) -> None:
    browser.sign_in(new_user(Role.TRADER).email)
    token = token_of(browser)
    with transaction():
        sql = "UPDATE user_session SET last_seen_at = now() - interval '1 hour' WHERE token_hash = %(hash)s"
        hot(sql, {"hash": token_hash(token)})
    before = session_row(token)["last_seen_at"]
    browser.get("/trader/queue/cards")
    assert session_row(token)["last_seen_at"] == before
    browser.get("/account")
    assert session_row(token)["last_seen_at"] > before


@pytest.mark.proves("attack 45", "ASVS 28")
def test_row_45_an_unknown_email_and_a_wrong_password_get_one_answer(browser: Browser) -> None:
    known = browser.sign_in(new_user(Role.TRADER).email, "wrong password")
    unknown = browser.sign_in(f"{uuid.uuid4().hex}@example.test", "wrong password")
    assert known.status_code == unknown.status_code == 422
    assert "The email or the password is not right." in known.text
    assert "The email or the password is not right." in unknown.text


@pytest.mark.proves("attack 45", "ASVS 28")
def test_row_45_nobodys_password_takes_as_long_as_somebodys(real_passwords: None) -> None:
    stored = hash_password(PASSWORD)
    is_password_right(None, "warm up")

    def fastest(stored_hash: str | None) -> float:
        times = []
        for _ in range(7):
            started = time.process_time()
            is_password_right(stored_hash, "wrong password")
            times.append(time.process_time() - started)
        return min(times)

    known, unknown = fastest(stored), fastest(None)
    assert 0.5 < unknown / known < 2


@pytest.mark.proves("attack 54")
def test_row_54_nobody_is_signed_in_as_somebody_by_another_sites_form(browser: Browser) -> None:
    user = new_user(Role.TRADER)
    data = {"email": user.email, "password": PASSWORD}
    assert browser.open("POST", "/sign-in", data=data).status_code == 400
    data["csrf_token"] = browser.read_token("/sign-in")
    cross = {"Sec-Fetch-Site": "cross-site"}
    assert browser.open("POST", "/sign-in", data=data, headers=cross).status_code == 403
    stranger = Browser(browser.client.application.test_client())
    assert stranger.open("POST", "/sign-in", data=data).status_code == 400
    assert browser.client.get_cookie(COOKIE) is None
    assert stranger.client.get_cookie(COOKIE) is None


@pytest.mark.proves("attack 51")
def test_row_51_what_a_person_may_do_is_read_anew_with_every_request(browser: Browser) -> None:
    user = new_user(Role.TRADER, Role.SUPPORT)
    browser.sign_in(user.email)
    with transaction():
        hot("DELETE FROM user_role WHERE user_id = %(id)s AND role = 'trader'", {"id": user.id})
    assert browser.get("/trader/queue").status_code == 403


def test_empty_fields_are_said_beside_them(browser: Browser) -> None:
    token = browser.read_token("/sign-in")
    answer = browser.open("POST", "/sign-in", data={"csrf_token": token})
    assert answer.status_code == 422
    assert 'id="email-problem"' in answer.text
    assert 'id="password-problem"' in answer.text


def test_the_sign_in_form_has_a_token_too(browser: Browser) -> None:
    user = new_user(Role.TRADER)
    answer = browser.open("POST", "/sign-in", data={"email": user.email, "password": PASSWORD})
    assert answer.status_code == 400
    assert browser.client.get_cookie(COOKIE) is None


def test_the_wanted_page_follows_the_sign_in(browser: Browser) -> None:
    assert browser.get("/account?x=1").location == "/sign-in?next=/account?x%3D1"
    assert browser.sign_in(new_user(Role.TRADER).email, next_page="/account?x=1").location == "/account?x=1"


@pytest.mark.proves("attack 54", "ASVS 17")
@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/\n/evil.example",
        "javascript:alert(1)",
        "evil",
        "/a\\b",
        "/ /x",
    ],
)
def test_row_54_the_wanted_page_never_leads_elsewhere(wanted: str) -> None:
    assert safe_next(wanted) is None


def address() -> str:
    """Somewhere else: no two are in one network."""
    number = uuid.uuid4().int
    return f"2001:db8:{number % 65536:x}:{(number >> 16) % 65536:x}::1"


@pytest.mark.proves("tried S16")
def test_all_addresses_of_an_ipv6_network_wait_together(in_context: Flask) -> None:
    user, network = new_user(Role.TRADER), address().removesuffix("1")

    def guess(number: int) -> int:
        browser = Browser(in_context.test_client())
        browser.client.environ_base["REMOTE_ADDR"] = f"{network}{number:x}"
        return browser.sign_in(user.email, "a guess").status_code

    codes = [guess(number) for number in range(1, 13)]
    assert codes == [422] * 10 + [429] * 2
    elsewhere = Browser(in_context.test_client())
    elsewhere.client.environ_base["REMOTE_ADDR"] = address()
    assert elsewhere.sign_in(user.email).status_code == 303


@pytest.mark.proves("tried S16")
@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("203.0.113.9", "203.0.113.9"),
        ("", None),
        ("nowhere", None),
        (None, None),
    ],
)
def test_an_address_is_counted_as_what_one_caller_has(address: str | None, network: str | None) -> None:
    assert counted_network(address) == network


@pytest.mark.proves("attack 43", "ASVS 23")
def test_row_43_repeated_failures_bring_a_pause_that_grows_and_ends(in_context: Flask) -> None:
    user, ip = new_user(Role.TRADER), address()
    for _ in range(3):
        assert check_credentials(user.email, "wrong password", ip, LIMITS) is None
    with pytest.raises(TooManySignIns) as first:
        check_credentials(user.email, PASSWORD, ip, LIMITS)
    let_time_pass(user.email, 3)
    assert check_credentials(user.email, "wrong password", ip, LIMITS) is None
    let_time_pass(user.email, 1)
    with pytest.raises(TooManySignIns) as second:
        check_credentials(user.email, PASSWORD, ip, LIMITS)
    assert (second.value.retry_after_s or 0) >= (first.value.retry_after_s or 0)
    let_time_pass(user.email, 60)
    assert check_credentials(user.email, PASSWORD, ip, LIMITS) == user.id
    # A success starts the count anew.
    assert check_credentials(user.email, "wrong password", ip, LIMITS) is None
    assert check_credentials(user.email, PASSWORD, ip, LIMITS) == user.id


@pytest.mark.proves("attack 43", "attack 44")
def test_rows_43_and_44_failures_from_everywhere_bring_a_pause_but_do_not_keep_the_owner_out(
    in_context: Flask,
) -> None:
    user, home = new_user(Role.TRADER), address()
    assert check_credentials(user.email, PASSWORD, home, LIMITS) == user.id
    with transaction():
        for _ in range(40):
            sql = "INSERT INTO sign_in_attempt (email, ip, succeeded) VALUES (%(email)s, %(ip)s, false)"
            hot(sql, {"email": user.email, "ip": address()})
    with pytest.raises(TooManySignIns):
        check_credentials(user.email, "a guess", address(), LIMITS)
    assert check_credentials(user.email, PASSWORD, home, LIMITS) == user.id


@pytest.mark.proves("attack 43")
def test_the_page_says_when_to_try_again(browser: Browser) -> None:
    email = f"{uuid.uuid4().hex}@example.test"
    with transaction():
        for _ in range(10):
            sql = "INSERT INTO sign_in_attempt (email, ip, succeeded) VALUES (%(email)s, '127.0.0.1', false)"
            hot(sql, {"email": email})
    answer = browser.sign_in(email, "a guess")
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0


def let_time_pass(email: str, seconds: int) -> None:
    with transaction():
        sql = "UPDATE sign_in_attempt SET at = at - make_interval(secs => %(s)s) WHERE email = %(email)s"
        hot(sql, {"email": email, "s": float(seconds)})


def test_a_stolen_database_opens_no_session(browser: Browser) -> None:
    browser.sign_in(new_user(Role.TRADER).email)
    row = session_row(token_of(browser))
    with transaction():
        assert find_session(row["token_hash"].hex(), 3600) is None
