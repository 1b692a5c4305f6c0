"""Over https cookies have names that no subdomain can plant, and flags that keep scripts and other sites out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from portal.settings import get_settings
from tests.servers import PUBLIC_SETTINGS
from tests.web.auth.people import code_of, with_app
from tests.web.desk import PASSWORD, Browser


@pytest.fixture
def secure(in_context: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """The same database behind https."""
    from portal import create_app

    for name, value in PUBLIC_SETTINGS.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    yield create_app()
    monkeypatch.undo()  # first: what is torn down after this reads settings
    get_settings.cache_clear()


@pytest.mark.proves("attack 50", "ASVS 10")
def test_row_50_cookies_are_bound_to_this_host_and_out_of_reach(secure: Flask) -> None:
    user, secret = with_app()
    browser = Browser(secure.test_client())
    base = {"base_url": "https://pay.example.com"}
    seen: list[str] = []

    def post(path: str, **data: str) -> None:
        page = browser.open("GET", path, **base)
        seen.extend(page.headers.getlist("Set-Cookie"))
        token = page.text.split('name="csrf_token" value="')[1].split('"')[0]
        referrer = {"Referer": "https://pay.example.com/sign-in"}
        answer = browser.open("POST", path, data={"csrf_token": token, **data}, headers=referrer, **base)
        assert answer.status_code == 303, answer.text
        seen.extend(answer.headers.getlist("Set-Cookie"))

    post("/sign-in", email=user.email, password=PASSWORD)
    post("/sign-in/second-factor", code=code_of(secret))
    names = {line.partition("=")[0] for line in seen}
    assert names == {"__Host-nostro", "__Host-nostro-half", "__Host-nostro-form"}
    for line in seen:
        parts = {part.strip().lower() for part in line.split(";")[1:]}
        assert {"secure", "httponly", "path=/", "samesite=lax"} <= parts, line
        assert not any(part.startswith("domain") for part in parts), line
    assert browser.open("GET", "/account", **base).status_code == 200
