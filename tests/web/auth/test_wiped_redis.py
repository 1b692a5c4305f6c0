"""Guessing stays slow over HTTP while Redis is wiped between any two guesses, and while it is away."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest
import redis as redis_client
from flask import Flask
from werkzeug.test import TestResponse

from portal.core import redis as clients
from portal.core.db import hot, transaction
from portal.identity.models import Role
from portal.reference import configuration as config
from portal.web.shell import limits as pages
from tests import servers as running
from tests.conftest import Worker
from tests.web.auth.people import (
    SESSION,
    code_of,
    cookie,
    new_browser,
    pass_code,
    pass_password,
    with_app,
    wrong_code_of,
)
from tests.web.desk import PASSWORD, Browser, new_user

Forget = Callable[[], None]


@pytest.fixture
def browser(in_context: Flask) -> Browser:
    """From an address of its own: failures of one address add up for everybody there."""
    number = uuid.uuid4().int
    browser = Browser(in_context.test_client())
    browser.client.environ_base["REMOTE_ADDR"] = f"2001:db8:{number % 65536:x}:{(number >> 16) % 65536:x}::1"
    return browser


@pytest.fixture(params=["wiped", "away"])
def forget(
    request: pytest.FixtureRequest, worker: Worker, in_context: Flask, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Forget]:
    """As often as it is called, what Redis and the processes count is gone, as after a restart of both."""
    with monkeypatch.context() as away:
        if request.param == "away":
            pages.forget()
            dead = redis_client.Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=0.1)
            away.setattr(clients, "_shared", lambda _url, _timeout_s: dead)

        def forgotten() -> None:
            if request.param == "wiped":
                running.empty_redis(worker.redis_url, keep_claim=True)
                pages.forget()
            else:
                # Processes that have just started: nothing is counted, and Redis does not answer.
                for counter in (pages.limiter.storage._counter, pages.requests, pages.changes):
                    counter._window, counter._counts = 0, {}

        yield forgotten


@pytest.mark.proves("attack 43", "ASVS 23")
def test_the_password_is_not_guessed_past_the_pause(browser: Browser, forget: Forget) -> None:
    email = new_user(Role.TRADER).email
    statuses = []
    for _ in range(config.get(config.SIGN_IN_ATTEMPTS_PER_EMAIL)):
        forget()
        statuses.append(browser.sign_in(email, "a guess").status_code)
    assert set(statuses) == {422}
    forget()
    answer = browser.sign_in(email)
    assert (answer.status_code, cookie(browser, SESSION)) == (429, None)
    assert int(answer.headers["Retry-After"]) > 0
    assert count_attempts(email) == len(statuses)


@pytest.mark.proves("attack 43", "ASVS 23")
def test_a_token_is_not_bought_with_guesses_past_the_pause(browser: Browser, forget: Forget) -> None:
    email = new_user(Role.SUPPORT).email
    statuses = []
    for _ in range(config.get(config.SIGN_IN_ATTEMPTS_PER_EMAIL)):
        forget()
        statuses.append(ask_token(browser, email, "a guess").status_code)
    assert set(statuses) == {401}
    forget()
    assert ask_token(browser, email, PASSWORD).status_code == 429


@pytest.mark.proves("attack 43", "ASVS 23")
def test_an_address_that_tries_many_people_is_slowed_down(
    browser: Browser, forget: Forget, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = config.get
    monkeypatch.setattr(config, "get", lambda s: 4 if s is config.SIGN_IN_ATTEMPTS_PER_IP else real(s))
    statuses = []
    for _ in range(5):
        forget()
        statuses.append(browser.sign_in(f"{uuid.uuid4().hex}@example.test", "a guess").status_code)
    assert statuses == [422] * 4 + [429]


@pytest.mark.proves("attack 43", "ASVS 23")
def test_codes_are_not_guessed_past_the_pause_by_signing_in_again(browser: Browser, forget: Forget) -> None:
    user, secret = with_app()
    most = config.get(config.FACTOR_ATTEMPTS)
    statuses = []
    for _ in range(most):
        forget()
        other = new_browser(browser)
        pass_password(other, user)
        forget()
        statuses.append(pass_code(other, wrong_code_of(secret)).status_code)
    assert set(statuses) == {422}
    forget()
    pass_password(browser, user)
    forget()
    answer = pass_code(browser, code_of(secret))
    assert (answer.status_code, cookie(browser, SESSION)) == (429, None)


@pytest.mark.proves("attack 43", "ASVS 23")
def test_the_fifth_wrong_code_ends_the_sign_in(browser: Browser, forget: Forget) -> None:
    user, secret = with_app()
    pass_password(browser, user)
    statuses = []
    for _ in range(config.get(config.FACTOR_ATTEMPTS)):
        forget()
        statuses.append(pass_code(browser, wrong_code_of(secret)).status_code)
    assert statuses == [422] * (len(statuses) - 1) + [401]
    forget()
    assert pass_code(browser, code_of(secret)).status_code == 401
    assert cookie(browser, SESSION) is None


def test_who_knows_their_password_gets_in_meanwhile(browser: Browser, forget: Forget) -> None:
    forget()
    assert browser.sign_in(new_user(Role.TRADER).email).status_code == 303


def ask_token(browser: Browser, email: str, password: str) -> TestResponse:
    return browser.open("POST", "/support/auth/login", json={"email": email, "password": password})


def count_attempts(email: str) -> int:
    with transaction():
        sql = "SELECT count(*) AS n FROM sign_in_attempt WHERE email = %(email)s"
        return int(hot(sql, {"email": email})[0]["n"])
