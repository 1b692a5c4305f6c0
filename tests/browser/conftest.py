"""One Chromium for all tests of this folder, and the app on a port for each of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from flask import Flask
from playwright.sync_api import Browser, expect, sync_playwright

from portal.settings import get_settings
from tests.browser.stand import Stand, open_stand
from tests.faults.stage import free_port
from tests.streams.running import streams_beside, web_of
from tests.web.desk import Desk, open_desk

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker(pytest.mark.browser)
    item.add_marker(pytest.mark.timeout(240))


# Not for the session: while Playwright runs, the thread has an event loop, and asyncio's tests refuse to start theirs.
@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        missing = "Debian's chromium is not installed"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        # A busy machine is slow, not wrong.
        expect.set_options(timeout=20_000)
        yield browser
        browser.close()


@pytest.fixture
def site(committed_db: Flask, chromium: Browser, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The app on a free port, a thread for each request, and its streams on another; no page is open before or after."""
    with ExitStack() as running:
        web = running.enter_context(web_of(committed_db))
        own = free_port()
        monkeypatch.setenv("STREAMS_PORT", str(own))
        get_settings.cache_clear()
        running.enter_context(streams_beside(web, get_settings(), own))
        yield f"http://127.0.0.1:{web}"
        for context in chromium.contexts:
            context.close()
    monkeypatch.undo()
    get_settings.cache_clear()


@pytest.fixture
def tara(committed_db: Flask) -> Iterator[Desk]:
    """A trader with a store that only she serves."""
    with committed_db.app_context():
        yield open_desk(committed_db)


@pytest.fixture
def stand(committed_db: Flask, chromium: Browser, site: str) -> Stand:
    """A shop with a trader, and its customers."""
    return open_stand(committed_db, chromium, site)
