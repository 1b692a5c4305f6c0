"""Whoever may write rows, but has no SECRET_KEY: rows with tokens of their own, or of theirs moved to others, open nothing."""

from __future__ import annotations

import secrets
from hashlib import sha256
from typing import Any

import pytest

from portal.core.db import hot, transaction
from portal.core.ids import new_id
from portal.identity.models import Role
from portal.identity.queries import find_session
from tests.web.auth.people import HALF, SESSION, cookie, pass_password, with_app
from tests.web.auth.test_links import accept, ask, choose, invite, link_of, row_of, somebody
from tests.web.desk import Browser, new_user

pytestmark = pytest.mark.proves("tried A6")
# As the house stores them: found by the SHA-256 alone, the rest of what makes a row good being there.
SESSION_ROW = """
INSERT INTO user_session (id, token_hash, user_id, last_seen_at, expires_at, stage, sudo_until, proven_until)
VALUES (%(id)s, %(hash)s, %(user)s, now(), now() + interval '1 hour', %(stage)s,
        CASE WHEN %(stage)s = 'open' THEN now() + interval '1 hour' END,
        CASE WHEN %(stage)s = 'open' THEN now() + interval '1 hour' END)
"""
RESET_ROW = """
INSERT INTO password_reset (id, token_hash, user_id, expires_at)
VALUES (%(id)s, %(hash)s, %(user)s, now() + interval '1 hour')
"""
INVITATION_ROW = """
INSERT INTO invitation (id, token_hash, email, roles, invited_by_kind, expires_at)
VALUES (%(id)s, %(hash)s, %(email)s, array['admin'], 'system', now() + interval '1 hour')
"""


def write(sql: str, **values: Any) -> None:
    with transaction():
        assert hot(f"{sql.strip()} RETURNING id", values)


def forged(sql: str, **values: Any) -> str:
    """The token of a row that somebody has written, as long as the house's own."""
    token = secrets.token_urlsafe(48) + "a"
    write(sql, id=new_id(), hash=sha256(token.encode()).digest(), **values)
    return token


def test_a_session_written_into_the_table_signs_nobody_in(browser: Browser) -> None:
    admin = new_user(Role.ADMIN)
    browser.client.set_cookie(SESSION, forged(SESSION_ROW, user=admin.id, stage="open"))
    answer = browser.open("GET", "/account")
    assert (answer.status_code, answer.location) == (303, "/sign-in?next=/account")


def test_ones_own_session_moved_to_somebody_else_is_nobodys(browser: Browser) -> None:
    admin = new_user(Role.ADMIN)
    browser.sign_in(new_user(Role.MERCHANT).email)
    token = cookie(browser, SESSION)
    assert token is not None
    assert browser.get("/account").status_code == 200
    write("UPDATE user_session SET user_id = %(user)s WHERE token_hash = %(hash)s",
          user=admin.id, hash=sha256(token.encode()).digest())  # fmt: skip
    assert browser.open("GET", "/account").location == "/sign-in?next=/account"
    with transaction():
        assert find_session(token, 3600) is None


def test_a_half_session_written_into_the_table_reaches_no_second_step(browser: Browser) -> None:
    user, _ = with_app(Role.ADMIN)
    browser.client.set_cookie(HALF, forged(SESSION_ROW, user=user.id, stage="second_factor"))
    assert browser.open("GET", "/sign-in/second-factor").location == "/sign-in"


def test_a_half_session_does_not_become_whole_by_writing_that_it_is(browser: Browser) -> None:
    user, _ = with_app(Role.ADMIN)
    pass_password(browser, user)
    half = cookie(browser, HALF)
    assert half is not None
    write(
        "UPDATE user_session SET stage = 'open' WHERE token_hash = %(hash)s",
        hash=sha256(half.encode()).digest(),
    )
    browser.client.set_cookie(SESSION, half)
    assert browser.open("GET", "/account").location == "/sign-in?next=/account"


def test_an_invitation_written_into_the_table_lets_nobody_in(browser: Browser) -> None:
    email = somebody()
    token = forged(INVITATION_ROW, email=email)
    assert browser.get(f"/invitation/{token}").status_code == 404
    assert accept(browser, token).status_code == 404
    assert row_of(email) is None


@pytest.mark.parametrize("change", ["roles = array['admin', 'support']", "email = 'x' || email"])
def test_ones_own_invitation_gives_what_was_invited_to_and_no_more(browser: Browser, change: str) -> None:
    email = somebody()
    token = invite(email, Role.SUPPORT)
    assert browser.get(f"/invitation/{token}").status_code == 200
    write(f"UPDATE invitation SET {change} WHERE email = %(email)s", email=email)
    assert accept(browser, token).status_code == 404
    assert row_of(email) is row_of(f"x{email}") is None


def test_a_reset_written_into_the_table_changes_no_password(browser: Browser) -> None:
    admin = new_user(Role.ADMIN)
    path = f"/password-reset/{forged(RESET_ROW, user=admin.id)}"
    assert browser.get(path).status_code == 404
    assert choose(browser, path).status_code == 404
    assert browser.sign_in(admin.email).status_code == 303


def test_ones_own_reset_moved_to_somebody_else_changes_no_password(browser: Browser) -> None:
    admin, me = new_user(Role.ADMIN), new_user(Role.MERCHANT)
    ask(browser, me.email)
    path = link_of(me.email)
    assert browser.get(path).status_code == 200
    write("UPDATE password_reset SET user_id = %(admin)s WHERE user_id = %(me)s", admin=admin.id, me=me.id)
    assert choose(browser, path).status_code == 404
    assert browser.sign_in(admin.email).status_code == 303
