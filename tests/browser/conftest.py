"""One Chromium for all tests of this folder, and the app on a port for each of them."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator

import pytest
from flask import Flask
from playwright.sync_api import Browser, expect, sync_playwright
from werkzeug.serving import make_server

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
def site(committed_db: Flask, chromium: Browser) -> Iterator[str]:
    """The app on a free port, a thread for each request; no page is open before or after."""
    server = make_server("127.0.0.1", 0, committed_db, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    for context in chromium.contexts:
        context.close()
    server.shutdown()
    thread.join(10)


@pytest.fixture
def tara(committed_db: Flask) -> Iterator[Desk]:
    """A trader with a store that only she serves."""
    with committed_db.app_context():
        yield open_desk(committed_db)
