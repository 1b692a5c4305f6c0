"""Limits of pages and token endpoints: by account and by network, added up in Redis, and without it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import redis
from flask import Flask
from werkzeug.test import TestResponse

from portal.api.authentication import passwords
from portal.core import redis as clients
from portal.identity.models import Role
from portal.reference import configuration as config
from portal.web.shell.limits import forget as forget_requests
from tests.web.desk import Browser, new_user

Set = Callable[..., None]


@pytest.fixture
def app(committing_app: Flask) -> Flask:
    return committing_app


@pytest.fixture
def lower(monkeypatch: pytest.MonkeyPatch) -> Set:
    """Give some settings another value for this test."""
    real = config.get

    def give(**values: int) -> None:
        monkeypatch.setattr(config, "get", lambda setting: values.get(setting.key, real(setting)))

    return give


def signed_in(app: Flask) -> Browser:
    browser = Browser(app.test_client())
    assert browser.sign_in(new_user(Role.SUPPORT).email).status_code == 303
    return browser


def statuses(browser: Browser, count: int, path: str = "/account") -> list[int]:
    return [browser.get(path).status_code for _ in range(count)]


def ask_token(app: Flask, part: str = "support/auth/login", **body: str) -> TestResponse:
    body = {"email": f"{uuid.uuid4().hex}@example.test", "password": "wrong"} | body
    headers = {"Content-Type": "application/json"}
    with app.app_context():
        return app.test_client().post(f"/{part}", data=json.dumps(body), headers=headers)


def test_each_person_has_a_limit_of_their_own(in_context: Flask, lower: Set) -> None:
    busy, other = signed_in(in_context), signed_in(in_context)
    forget_requests()
    lower(web_requests_per_minute=5)
    assert statuses(busy, 6) == [200] * 5 + [429]
    assert statuses(other, 5) == [200] * 5


def test_a_refusal_is_a_page_that_says_when_to_go_on(in_context: Flask, lower: Set) -> None:
    browser = signed_in(in_context)
    forget_requests()
    lower(web_requests_per_minute=1)
    browser.get("/account")
    answer = browser.get("/account")
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 61
    assert answer.headers["X-Request-Id"] in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    fragment = browser.get("/account", headers={"HX-Request": "true"})
    assert fragment.status_code == 429
    assert fragment.headers["HX-Retarget"] == "#notice"


def test_people_who_are_not_signed_in_share_the_limit_of_their_network(in_context: Flask, lower: Set) -> None:
    forget_requests()
    lower(web_public_requests_per_minute=3)
    assert statuses(Browser(in_context.test_client()), 2, "/sign-in") == [200, 200]
    assert statuses(Browser(in_context.test_client()), 2, "/sign-in") == [200, 429]
    elsewhere = {"REMOTE_ADDR": "198.51.100.9"}
    with in_context.app_context():
        answer = in_context.test_client().get("/sign-in", environ_overrides=elsewhere)
    assert answer.status_code == 200
    assert statuses(signed_in_elsewhere(in_context), 2) == [200, 200]


def signed_in_elsewhere(app: Flask) -> Browser:
    """Signed in from another network; then on the crowded one."""
    browser = Browser(app.test_client())
    browser.client.environ_base["REMOTE_ADDR"] = "198.51.100.10"
    assert browser.sign_in(new_user(Role.SUPPORT).email).status_code == 303
    browser.client.environ_base["REMOTE_ADDR"] = "127.0.0.1"
    return browser


@pytest.mark.proves("attack 55")
def test_row_55_a_made_up_address_does_not_make_a_new_network(in_context: Flask, lower: Set) -> None:
    forget_requests()
    lower(web_public_requests_per_minute=2)
    codes = []
    for number in range(4):
        headers = {
            "X-Forwarded-For": f"198.51.100.{number}",
            "Forwarded": "for=1.2.3.4",
            "X-Real-IP": "1.2.3.4",
        }
        with in_context.app_context():
            codes.append(in_context.test_client().get("/sign-in", headers=headers).status_code)
    assert codes == [200, 200, 429, 429]


def test_forms_have_a_limit_below_that_of_pages(in_context: Flask, lower: Set) -> None:
    browser = signed_in(in_context)
    forget_requests()
    lower(web_changes_per_minute=2)
    codes = [browser.post("/account/security/sessions/end-others", htmx=False).status_code for _ in range(3)]
    assert codes[-1] == 429
    assert 429 not in codes[:2]
    assert browser.get("/account").status_code == 200


@pytest.mark.parametrize(
    "part",
    ["merchant/auth/token", "trader/auth/token", "support/auth/login", "lead/auth/login", "admin/auth/login"],
)
def test_every_token_endpoint_is_limited_by_network(in_context: Flask, lower: Set, part: str) -> None:
    forget_requests()
    passwords.forget()
    lower(proofs_per_minute=2)
    body: dict[str, Any] = {"grant_type": "password"}
    first = ask_token(in_context, part, **body)
    assert first.status_code == 401
    assert (first.headers["RateLimit-Limit"], first.headers["RateLimit-Remaining"]) == ("2", "1")
    ask_token(in_context, part, **body)
    third = ask_token(in_context, part, **body)
    assert third.status_code == 429
    assert third.content_type == "application/problem+json"
    assert 0 < int(third.headers["Retry-After"]) <= 61


def test_sign_in_and_tokens_share_one_limit_of_tries(in_context: Flask, lower: Set) -> None:
    forget_requests()
    lower(proofs_per_minute=2)
    assert ask_token(in_context).status_code == 401
    browser = Browser(in_context.test_client())
    assert browser.sign_in("nobody@example.test").status_code == 422
    assert browser.open("POST", "/sign-in", data={"csrf_token": browser.token}).status_code == 429


def test_without_redis_pages_are_served_and_still_counted(
    in_context: Flask, lower: Set, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = signed_in(in_context)
    forget_requests()
    dead = redis.Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=0.1)
    lower(web_requests_per_minute=3)
    with monkeypatch.context() as away:
        away.setattr(clients, "_shared", lambda _url, _timeout_s: dead)
        assert statuses(browser, 4) == [200, 200, 200, 429]
        assert ask_token(in_context).status_code == 401


def test_health_and_files_are_not_counted(in_context: Flask, lower: Set) -> None:
    forget_requests()
    lower(web_public_requests_per_minute=1)
    browser = Browser(in_context.test_client())
    assert statuses(browser, 3, "/healthz") == [200] * 3
    assert statuses(browser, 3, "/static/portal/portal.css") == [200] * 3
