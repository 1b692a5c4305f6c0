"""Invitations and password resets over HTTP: good once, for a while, for one person, and telling nobody anything."""

from __future__ import annotations

import json
import threading
import uuid

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from portal.core.actors import SYSTEM, Actor, ActorKind, Origin
from portal.core.crypto import decrypt, token_hash
from portal.core.db import db, hot, transaction
from portal.core.errors import NotFound, ValidationFailed
from portal.identity.models import MemberRole, Role
from portal.identity.people.invitations import create_invitation, revoke_invitation
from portal.identity.service import set_password
from portal.merchants.service import NewStore, create_merchant, create_store
from portal.traders.joining import join_as_new
from portal.traders.queries import find_trader_of_user
from tests.web.auth.people import actions_about, code_of, cookie, mails_to, new_browser, pass_code, with_app
from tests.web.desk import Browser, new_user

NEW = "a brand new password"


def somebody() -> str:
    return f"{uuid.uuid4().hex}@example.test"


def invite(email: str, *roles: Role, **more: object) -> str:
    with transaction():
        return create_invitation(email, roles or (Role.SUPPORT,), invited_by=SYSTEM, **more)  # type: ignore[arg-type]


def accept(browser: Browser, token: str, name: str = "Nina", password: str = NEW) -> TestResponse:
    page = browser.get("/sign-in").text
    browser.token = page.split('name="csrf_token" value="')[1].split('"')[0]
    return browser.post(f"/invitation/{token}", {"name": name, "password": password}, htmx=False)


def row_of(email: str) -> dict[str, object] | None:
    sql = """SELECT u.id, u.name, ARRAY(SELECT role FROM user_role r WHERE r.user_id = u.id ORDER BY role) AS roles
               FROM users u WHERE email = %(email)s"""
    with transaction():
        rows = hot(sql, {"email": email})
    return rows[0] if rows else None


def test_who_is_invited_picks_a_password_and_is_in(browser: Browser) -> None:
    email = somebody()
    token = invite(email.upper(), Role.SUPPORT, Role.LEAD)
    page = browser.get(f"/invitation/{token}")
    assert email in page.text
    assert 'autocomplete="new-password"' in page.text
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert (accept(browser, token).location, browser.get("/account").status_code) == ("/", 200)
    found = row_of(email)
    assert found is not None
    assert (found["name"], found["roles"]) == ("Nina", ["lead", "support"])
    assert new_browser(browser).sign_in(email, NEW).status_code == 303


@pytest.mark.proves("ASVS 29")
def test_the_link_is_good_once_and_kept_as_a_hash(browser: Browser, in_context: Flask) -> None:
    token = invite(somebody())
    with transaction():
        stored = hot("SELECT token_hash FROM invitation WHERE token_hash = %(h)s", {"h": token_hash(token)})
        assert token.encode() not in bytes(stored[0]["token_hash"])
    accept(browser, token)
    second = Browser(in_context.test_client())
    assert second.get(f"/invitation/{token}").status_code == 404
    answer = accept(second, token)
    assert (answer.status_code, cookie(second)) == (404, None)


@pytest.mark.proves("attack 53")
@pytest.mark.parametrize("change", ["expires_at = now()", "revoked_at = now()"])
def test_a_link_that_is_over_gives_nothing(browser: Browser, change: str) -> None:
    email = somebody()
    token = invite(email)
    with transaction():
        hot(f"UPDATE invitation SET {change} WHERE email = %(email)s", {"email": email})
    unknown = browser.get("/invitation/never-was")
    over = browser.get(f"/invitation/{token}")
    assert over.status_code == unknown.status_code == accept(browser, token).status_code == 404
    assert email not in over.text
    assert row_of(email) is None


def test_a_withdrawn_invitation_can_not_be_withdrawn_twice(in_context: Flask) -> None:
    email = somebody()
    invite(email)
    with transaction():
        invitation_id = hot("SELECT id FROM invitation WHERE email = %(e)s", {"e": email})[0]["id"]
        revoke_invitation(invitation_id)
        with pytest.raises(NotFound):
            revoke_invitation(invitation_id)


def test_a_refused_password_leaves_the_link_as_it_was(browser: Browser) -> None:
    email = somebody()
    token = invite(email)
    refused = accept(browser, token, password="short")
    assert refused.status_code == 422
    assert "Use at least 12 characters." in refused.text
    assert row_of(email) is None
    assert accept(browser, token).status_code == 303


@pytest.mark.races
def test_of_two_who_open_the_link_at_once_one_gets_in(in_context: Flask) -> None:
    email = somebody()
    token, gate = invite(email), threading.Barrier(3)
    outcomes: list[bool] = []

    def join() -> None:
        with in_context.app_context():
            gate.wait()
            try:
                with transaction():
                    join_as_new(
                        token, "Nina", NEW, locale="en", timezone="UTC", min_length=12, origin=Origin()
                    )
            except NotFound:
                outcomes.append(False)
            else:
                outcomes.append(True)

    threads = [threading.Thread(target=join) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False, False, True]


def test_a_trader_who_joins_has_a_seat_in_the_team_and_the_accounts(browser: Browser) -> None:
    email = somebody()
    accept(browser, invite(email, Role.TRADER))
    found = row_of(email)
    assert found is not None
    with transaction():
        trader = find_trader_of_user(found["id"])  # type: ignore[arg-type]
    assert trader is not None
    assert browser.get("/trader/queue").status_code == 200


def test_a_member_gets_the_role_and_the_stores_that_were_chosen(browser: Browser) -> None:
    with transaction():
        merchant, stranger = create_merchant("Acme", actor=SYSTEM), create_merchant("Other", actor=SYSTEM)
        shop, _second = (create_store(merchant.id, NewStore(name), actor=SYSTEM) for name in ("One", "Two"))
        foreign = create_store(stranger.id, NewStore("Foreign"), actor=SYSTEM)
    member = {"merchant_id": merchant.id, "member_role": MemberRole.ACCOUNTANT}
    with pytest.raises(ValidationFailed):
        invite(somebody(), Role.MERCHANT, **member, store_ids=[foreign.id])
    with pytest.raises(ValidationFailed):
        invite(somebody(), Role.MERCHANT)
    with pytest.raises(ValidationFailed):
        invite(somebody(), Role.SUPPORT, **member)
    email = somebody()
    accept(browser, invite(email, Role.MERCHANT, **member, store_ids=[shop.id]))
    found = row_of(email)
    assert found is not None
    with transaction():
        sql = """SELECT m.role, m.has_all_stores, ARRAY(SELECT store_id FROM merchant_member_store s
                   WHERE s.user_id = m.user_id AND s.merchant_id = m.merchant_id) AS stores
                   FROM merchant_member m WHERE m.user_id = %(id)s"""
        assert hot(sql, {"id": found["id"]}) == [
            {"role": "accountant", "has_all_stores": False, "stores": [shop.id]}
        ]


def test_the_database_keeps_a_members_stores_with_the_members_merchant(in_context: Flask) -> None:
    with transaction():
        merchant, stranger = create_merchant("Acme", actor=SYSTEM), create_merchant("Other", actor=SYSTEM)
        foreign = create_store(stranger.id, NewStore("Foreign"), actor=SYSTEM)
    user = new_user(Role.MERCHANT)
    sql = "INSERT INTO merchant_member (merchant_id, user_id) VALUES (%(m)s, %(u)s)"
    with transaction():
        hot(sql, {"m": merchant.id, "u": user.id})
    row = "INSERT INTO merchant_member_store (merchant_id, user_id, store_id) VALUES (%(m)s, %(u)s, %(s)s)"
    with pytest.raises(Exception, match="fk_merchant_member_store_store"), transaction():
        hot(row, {"m": merchant.id, "u": user.id, "s": foreign.id})
    db.session.rollback()


@pytest.mark.proves("attack 45")
def test_row_45_an_invitation_for_a_known_email_wants_its_owner_signed_in(
    browser: Browser, in_context: Flask
) -> None:
    user = new_user(Role.TRADER)
    token = invite(user.email, Role.SUPPORT)
    assert "Sign in with it" in browser.get(f"/invitation/{token}").text
    # Neither a new password for somebody who has one, nor roles for somebody else.
    assert accept(browser, token).status_code == 404
    stranger = Browser(in_context.test_client())
    stranger.sign_in(new_user(Role.TRADER).email)
    assert stranger.post(f"/invitation/{token}/acceptance", htmx=False).status_code == 404
    browser.sign_in(user.email)
    assert browser.post(f"/invitation/{token}/acceptance", htmx=False).status_code == 303
    found = row_of(user.email)
    assert found is not None
    assert found["roles"] == ["support", "trader"]
    assert "invitation.accepted" in actions_about(user)


def ask(browser: Browser, email: str, **options: object) -> TestResponse:
    browser.read_token("/password-reset")
    data = {"csrf_token": browser.token, "email": email}
    return browser.open("POST", "/password-reset", data=data, **options)


def links_of(email: str) -> list[dict[str, object]]:
    return [mail for mail in mails_to(email) if mail["kind"] == "password_reset"]


def link_of(email: str) -> str:
    """The path in the last mail with a link."""
    last = [mail for mail in mails_to(email) if mail["kind"] == "password_reset"][-1]
    return str(json.loads(decrypt("mail", "secret", last["id"], bytes(last["secret_encrypted"])))["link"])


def choose(browser: Browser, path: str, password: str = NEW) -> TestResponse:
    browser.read_token("/sign-in")
    return browser.post(path, {"password": password}, htmx=False)


def test_a_forgotten_password_is_replaced_by_a_link_and_sessions_end(
    browser: Browser, in_context: Flask
) -> None:
    user = new_user(Role.MERCHANT)
    signed_in = Browser(in_context.test_client())
    signed_in.sign_in(user.email)
    ask(browser, user.email.upper())
    path = link_of(user.email)
    page = browser.get(path)
    assert (page.status_code, page.headers["Referrer-Policy"]) == (200, "no-referrer")
    assert "http" not in page.text.split("</head>")[1]
    done = choose(browser, path)
    assert (done.status_code, done.location, cookie(browser)) == (303, "/sign-in", None)
    assert signed_in.get("/account").status_code == 303
    assert browser.sign_in(user.email).status_code == 422
    assert browser.sign_in(user.email, NEW).status_code == 303
    assert mails_to(user.email)[-1]["params"]["what"] == "password_reset"
    assert "user.password_reset" in actions_about(user)


@pytest.mark.proves("attack 53")
def test_row_53_the_link_is_good_once_and_ends_the_others(browser: Browser) -> None:
    user = new_user(Role.MERCHANT)
    ask(browser, user.email)
    first = link_of(user.email)
    ask(browser, user.email)
    second = link_of(user.email)
    assert first != second
    assert choose(browser, first).status_code == 303
    for link in (first, second):
        assert browser.get(link).status_code == choose(browser, link, "and another one").status_code == 404
    assert browser.sign_in(user.email, NEW).status_code == 303


@pytest.mark.proves("attack 53")
def test_row_53_the_link_ends_after_half_an_hour_at_most(browser: Browser) -> None:
    user = new_user(Role.MERCHANT)
    ask(browser, user.email)
    with transaction():
        sql = "SELECT extract(epoch FROM expires_at - created_at) AS s FROM password_reset WHERE user_id = %(id)s"
        assert 0 < hot(sql, {"id": user.id})[0]["s"] <= 1800
        hot("UPDATE password_reset SET expires_at = now() WHERE user_id = %(id)s", {"id": user.id})
    assert choose(browser, link_of(user.email)).status_code == 404
    assert browser.sign_in(user.email).status_code == 303


@pytest.mark.proves("attack 53")
def test_row_53_a_forged_host_leads_nobody_elsewhere(browser: Browser) -> None:
    user = new_user(Role.MERCHANT)
    assert ask(browser, user.email, headers={"X-Forwarded-Host": "evil.example"}).status_code == 200
    assert link_of(user.email).startswith("/password-reset/")
    forged = {"Host": "evil.example", "Sec-Fetch-Site": "same-origin"}
    data = {"csrf_token": browser.token, "email": user.email}
    assert browser.open("POST", "/password-reset", data=data, headers=forged).status_code == 400
    assert len(mails_to(user.email)) == 1


@pytest.mark.proves("ASVS 29", "attack 53")
def test_a_reset_does_not_pass_by_the_second_factor(browser: Browser) -> None:
    user, secret = with_app()
    ask(browser, user.email)
    choose(browser, link_of(user.email))
    browser.read_token("/sign-in")
    data = {"csrf_token": browser.token, "email": user.email, "password": NEW}
    assert browser.open("POST", "/sign-in", data=data).location == "/sign-in/second-factor"
    assert cookie(browser) is None
    browser.read_token("/sign-in/second-factor")
    assert pass_code(browser, code_of(secret)).status_code == 303
    with transaction():
        assert hot("SELECT 1 FROM totp_factor WHERE user_id = %(id)s", {"id": user.id})


@pytest.mark.proves("attack 45", "ASVS 28")
def test_row_45_asking_tells_nobody_who_has_a_login(browser: Browser) -> None:
    user = new_user(Role.MERCHANT)
    off = new_user(Role.MERCHANT)
    with transaction():
        hot("UPDATE users SET is_active = false WHERE id = %(id)s", {"id": off.id})
    answers = [ask(browser, email) for email in (user.email, somebody(), off.email)]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.get_data() for answer in answers}) == 1
    assert mails_to(off.email) == []
    assert len(mails_to(user.email)) == 1


def anywhere() -> str:
    """An IPv6 network of somebody's own."""
    number = uuid.uuid4().int
    return f"2001:db8:{number % 65536:x}:{(number >> 16) % 65536:x}::"


def ask_from(app: Flask, address: str, email: str) -> TestResponse:
    browser = Browser(app.test_client())
    browser.client.environ_base["REMOTE_ADDR"] = address
    return ask(browser, email)


@pytest.mark.proves("tried S11")
def test_asking_for_somebody_else_ends_no_link_that_is_open(browser: Browser, in_context: Flask) -> None:
    user = new_user(Role.MERCHANT)
    ask(browser, user.email)
    own, attacker = link_of(user.email), anywhere()
    for number in range(6):
        assert ask_from(in_context, f"{attacker}{number:x}", user.email).status_code == 200
    # One network gets two mails through, however many addresses it has.
    assert len(mails_to(user.email)) == 3
    assert choose(browser, own).status_code == 303
    assert browser.sign_in(user.email, NEW).status_code == 303


@pytest.mark.proves("tried S11")
def test_strangers_asking_from_everywhere_leave_the_owner_mails_of_their_own(in_context: Flask) -> None:
    user, home = new_user(Role.MERCHANT), anywhere()
    owner = Browser(in_context.test_client())
    owner.client.environ_base["REMOTE_ADDR"] = f"{home}1"
    assert owner.sign_in(user.email).status_code == 303
    for _ in range(8):
        ask_from(in_context, f"{anywhere()}1", user.email)
    assert len(links_of(user.email)) == 5
    ask_from(in_context, f"{home}2", user.email)
    assert len(links_of(user.email)) == 6
    assert choose(Browser(in_context.test_client()), link_of(user.email)).status_code == 303


@pytest.mark.proves("tried S11")
def test_whoever_asks_for_many_is_told_to_wait_whether_or_not_they_exist(in_context: Flask) -> None:
    known, attacker = new_user(Role.MERCHANT), anywhere()
    for number in range(20):
        assert ask_from(in_context, f"{attacker}{number:x}", somebody()).status_code == 200
    refused = [ask_from(in_context, f"{attacker}fff", email) for email in (known.email, somebody())]
    assert [answer.status_code for answer in refused] == [429, 429]
    assert 3500 < int(refused[0].headers["Retry-After"]) <= 3600
    assert mails_to(known.email) == []
    # Nobody else waits, and the person that was asked for least of all.
    assert ask_from(in_context, f"{anywhere()}1", known.email).status_code == 200
    assert len(mails_to(known.email)) == 1


def test_a_changed_password_ends_the_links_that_are_open(browser: Browser) -> None:
    user = new_user(Role.MERCHANT)
    ask(browser, user.email)
    with transaction():
        set_password(user, NEW)
    assert choose(browser, link_of(user.email), "and another one").status_code == 404


def test_who_is_switched_off_gets_no_new_password(browser: Browser) -> None:
    user = new_user(Role.MERCHANT)
    ask(browser, user.email)
    with transaction():
        hot("UPDATE users SET is_active = false WHERE id = %(id)s", {"id": user.id})
    assert choose(browser, link_of(user.email)).status_code == 404


def test_the_inviter_is_written_down(in_context: Flask) -> None:
    email, admin = somebody(), new_user(Role.ADMIN)
    with transaction():
        create_invitation(email, [Role.SUPPORT], invited_by=Actor(ActorKind.ADMIN, admin.id))
        row = hot("SELECT invited_by_kind, invited_by_id FROM invitation WHERE email = %(e)s", {"e": email})[
            0
        ]
    assert (row["invited_by_kind"], row["invited_by_id"]) == ("admin", admin.id)
