"""What a request may carry beyond its form, over HTTP: more fields, the same field twice, lines, other addresses."""

from __future__ import annotations

import json
import logging
import unicodedata
import uuid
from collections.abc import Iterator

import pytest
from flask import Flask
from wtforms import PasswordField

from portal.core.db import hot, transaction
from portal.core.ids import public_id
from portal.core.observability.logging import _formatter as formatter_of
from portal.identity.models import Role
from portal.identity.people.invitations import create_invitation
from portal.settings import get_settings
from portal.web.ui.forms import PageForm
from tests.access.people import acting, person
from tests.web.desk import PASSWORD, Browser, Desk, new_user, open_desk


@pytest.fixture
def app(committing_app: Flask) -> Iterator[Flask]:
    with committing_app.app_context():
        yield committing_app


@pytest.fixture
def desk(app: Flask) -> Desk:
    return open_desk(app)


def row_of(user_id: uuid.UUID) -> dict[str, object]:
    sql = """SELECT to_jsonb(u) - 'name' - 'locale' - 'timezone' AS login,
                    (SELECT jsonb_agg(role) FROM user_role WHERE user_id = u.id) AS roles,
                    (SELECT count(*) FROM permission_grant WHERE user_id = u.id) AS grants
               FROM users u WHERE id = %(id)s"""
    with transaction():
        return hot(sql, {"id": user_id})[0]


@pytest.mark.proves("ASVS 39", "ASVS 1")
def test_fields_that_a_form_does_not_have_are_not_taken(desk: Desk) -> None:
    before = row_of(desk.user.id)
    more = {
        "id": str(uuid.uuid4()), "user_id": str(uuid.uuid4()), "email": "other@example.test", "role": "admin",
        "roles": "admin", "is_active": "0", "is_admin": "1", "password_hash": "x", "permission": "ledger:adjust",
    }  # fmt: skip
    form = {"name": "Tara T.", "language": "en", "timezone": "UTC", "theme": "dark", "density": "compact"}
    assert desk.browser.post("/account", form | more, htmx=False).status_code == 303
    assert row_of(desk.user.id) == before
    with transaction():
        assert hot("SELECT name FROM users WHERE id = %(id)s", {"id": desk.user.id})[0]["name"] == "Tara T."


@pytest.mark.proves("ASVS 39", "attack 69")
def test_who_is_invited_does_not_choose_what_they_may(app: Flask) -> None:
    email = f"{uuid.uuid4().hex}@example.test"
    with transaction():
        token = create_invitation(email, [Role.SUPPORT], invited_by=acting(person(Role.ADMIN, name="Ada")))
    browser = Browser(app.test_client())
    browser.read_token("/sign-in")
    form = {
        "name": "Nina",
        "password": "a brand new password",
        "role": "admin",
        "roles": "admin",
        "email": "b@c.test",
    }
    assert browser.post(f"/invitation/{token}", form, htmx=False).status_code == 303
    with transaction():
        sql = "SELECT r.role FROM users u JOIN user_role r ON r.user_id = u.id WHERE u.email = %(email)s"
        assert [row["role"] for row in hot(sql, {"email": email})] == ["support"]


@pytest.mark.proves("ASVS 39")
def test_a_form_is_read_from_the_body_alone_and_its_first_value_counts(desk: Desk) -> None:
    first, second = desk.payin(claimed=True), desk.payin(1600_00, claimed=True)
    path = "/trader/payins/{}/confirmation"
    told = desk.browser.post(f"{path.format(public_id('ord', first.id))}?amount=1", {}, htmx=False)
    assert told.status_code == 303
    doubled = {"csrf_token": desk.browser.token, "amount": ["1600", "1"]}
    desk.browser.open("POST", path.format(public_id("ord", second.id)), data=doubled)
    received = [desk.now(order).actual_minor for order in (first, second)]
    assert received == [1500_00, 1600_00]


@pytest.mark.proves("ASVS 39", "attack 65")
def test_a_list_that_is_asked_the_same_twice_refuses(app: Flask) -> None:
    browser = Browser(app.test_client())
    browser.begin_session(new_user(Role.ADMIN))
    for query in ("sort=created&sort=-created", "status=completed&status=disputed", "q=a&q=b"):
        assert browser.get(f"/admin/orders?{query}").status_code == 400, query
    assert browser.get("/admin/orders?q=a&columns=number&columns=status").status_code == 200


@pytest.mark.proves("ASVS 41")
@pytest.mark.parametrize(
    "text",
    [
        '\n{"level":"error","event":"forged"}',
        "\r\n2026 forged",
        "\x1b[2Jforged",
        "\u2028forged",
        "\x00forged",
    ],
)
def test_what_a_caller_writes_never_makes_a_line_of_the_log(
    app: Flask, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    def explode(*_: object, **__: object) -> None:
        raise ValueError(f"could not read {text}")

    monkeypatch.setattr("portal.web.auth.routes.sign_in", explode)
    browser = Browser(app.test_client())
    browser.read_token("/sign-in")
    with caplog.at_level(logging.DEBUG):
        data = {"csrf_token": browser.token, "email": "a@b.test", "password": "x"}
        answer = browser.open("POST", "/sign-in", data=data, headers={"User-Agent": repr(text)})
    assert answer.status_code == 500
    assert caplog.records
    for record in caplog.records:
        line = formatter_of(is_json=True).format(record)
        assert not any(unicodedata.category(each) == "Cc" for each in line), line
        assert json.loads(line)["event"] != "forged"


@pytest.mark.proves("attack 55", "ASVS 18", "ASVS 39")
@pytest.mark.parametrize(("hops", "seen"), [("0", "127.0.0.1"), ("1", "198.51.100.7"), ("2", "203.0.113.9")])
def test_the_address_is_what_the_trusted_hops_say_and_nothing_before_them(
    app: Flask, monkeypatch: pytest.MonkeyPatch, hops: str, seen: str
) -> None:
    from portal import create_app

    monkeypatch.setenv("TRUSTED_PROXIES", hops)
    get_settings.cache_clear()
    try:
        behind = create_app()
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()
    email = f"{uuid.uuid4().hex}@example.test"
    browser = Browser(behind.test_client())
    browser.read_token("/sign-in")
    headers = {
        "X-Forwarded-For": "10.0.0.1, 203.0.113.9, 198.51.100.7",
        "X-Real-IP": "10.0.0.1",
        "Forwarded": "for=10.0.0.1",
    }
    data = {"csrf_token": browser.token, "email": email, "password": "a guess"}
    assert browser.open("POST", "/sign-in", data=data, headers=headers).status_code == 422
    with transaction():
        sql = "SELECT host(ip) AS ip FROM sign_in_attempt WHERE email = %(email)s"
        assert [row["ip"] for row in hot(sql, {"email": email})] == [seen]


@pytest.mark.proves("ASVS 29")
def test_nobody_types_a_password_for_another(app: Flask) -> None:
    """The only forms with a password are one's own: sign-in, proof, change, reset and the invitation's."""
    known = {
        each.__module__
        for each in _subclasses(PageForm)
        if any(field.field_class is PasswordField or issubclass(field.field_class, PasswordField)
               for name, field in vars(each).items() if hasattr(field, "field_class"))
    }  # fmt: skip
    assert known
    assert not [module for module in known if ".admin" in module or ".merchant" in module], known


def _subclasses(kind: type) -> Iterator[type]:
    for each in kind.__subclasses__():
        yield each
        yield from _subclasses(each)


@pytest.mark.proves("ASVS 38", "attack 53")
def test_what_is_secret_stands_in_no_address_that_leaves_the_page(app: Flask) -> None:
    """Links with a secret in them keep it from every other place: no referrer, no store, nothing from elsewhere."""
    with transaction():
        token = create_invitation(
            f"{uuid.uuid4().hex}@example.test",
            [Role.SUPPORT],
            invited_by=acting(person(Role.ADMIN, name="Ada")),
        )
    user = new_user(Role.MERCHANT)
    browser = Browser(app.test_client())
    browser.read_token("/password-reset")
    browser.post("/password-reset", {"email": user.email}, htmx=False)
    from tests.web.auth.test_links import link_of

    for path in (f"/invitation/{token}", link_of(user.email)):
        page = browser.get(path)
        assert page.status_code == 200
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["Cache-Control"] == "no-store"
        assert 'src="http' not in page.text
        assert 'href="http' not in page.text


@pytest.mark.proves("ASVS 38")
def test_no_form_sends_a_password_in_an_address(app: Flask) -> None:
    browser = Browser(app.test_client())
    assert browser.get(f"/sign-in?email=a@b.test&password={PASSWORD}").status_code == 200
    page = browser.get(f"/sign-in?email=a@b.test&password={PASSWORD}").text
    assert PASSWORD not in page
    assert 'method="post"' in page
