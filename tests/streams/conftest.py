"""One web and one streams' process for each test, and people who are signed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from flask import Flask

from portal.settings import get_settings
from portal.web.shell.security import session_cookie
from tests.streams.running import Page, streams_beside, web_of
from tests.web.desk import Browser, Desk, open_desk


def cookie_of(browser: Browser) -> str:
    """What a page of this browser sends."""
    held = browser.client.get_cookie(session_cookie())
    assert held is not None
    return f"{held.key}={held.value}"


@dataclass
class House:
    """Where both answer."""

    web: int
    streams: int

    def page(self, path: str, browser: Browser | None = None, **headers: str) -> Page:
        return Page(self.streams, path, cookie_of(browser) if browser else "", **headers)


@pytest.fixture
def app(committing_app: Flask) -> Iterator[Flask]:
    with committing_app.app_context():
        yield committing_app


@pytest.fixture
def desk(app: Flask) -> Desk:
    return open_desk(app)


@pytest.fixture
def house(app: Flask) -> Iterator[House]:
    with web_of(app) as web, streams_beside(web, get_settings()) as port:
        yield House(web, port)


@pytest.fixture
def signed_in(app: Flask) -> Callable[..., Browser]:
    def begin(user: object) -> Browser:
        browser = Browser(app.test_client())
        browser.begin_session(user)  # type: ignore[arg-type]
        return browser

    return begin
