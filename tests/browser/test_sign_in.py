"""Signing in with a real browser: by the keyboard alone, with an app and with a passkey, at any width and theme."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page

from portal.core.actors import SYSTEM
from portal.core.db import transaction
from portal.identity.models import Role
from portal.identity.people.invitations import create_invitation
from portal.settings import get_settings
from tests.browser.looking import complaints_of, open_page, problems
from tests.web.auth.people import code_of, forget_proof, with_app
from tests.web.desk import PASSWORD, new_user

LOOKS: dict[Role, dict[str, Any]] = {
    Role.ADMIN: {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark", "locale": "ru"},
    Role.SUPPORT: {"viewport": {"width": 320, "height": 640}, "color_scheme": "light", "locale": "en"},
    Role.LEAD: {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light", "locale": "ru"},
    Role.TRADER: {"viewport": {"width": 320, "height": 640}, "color_scheme": "dark", "locale": "en"},
    Role.MERCHANT: {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark", "locale": "en"},
}


@pytest.fixture
def house(site: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The site under the name that passkeys are bound to."""
    address = site.replace("127.0.0.1", "localhost")
    monkeypatch.setenv("PUBLIC_URL", address)
    get_settings.cache_clear()
    yield address
    monkeypatch.undo()  # first: what is torn down after this reads settings
    get_settings.cache_clear()


def check(page: Page) -> None:
    assert problems(page) == [], page.url


def arrive(page: Page, path: str) -> None:
    """Wait until the page of this path is there; it may be named in another's query before."""
    page.wait_for_url(lambda url: urlsplit(url).path == path)


def type_on(page: Page, text: str) -> None:
    """Into whatever has the focus, and on with Enter."""
    page.keyboard.type(text)
    page.keyboard.press("Enter")


@pytest.mark.parametrize("role", list(Role))
def test_everybody_signs_in_with_an_app_by_the_keyboard_alone(
    committed_db: Flask,
    chromium: Browser,
    house: str,
    role: Role,
) -> None:
    user, secret = with_app(role)
    page = open_page(chromium, **LOOKS[role])
    complaints = complaints_of(page)
    page.goto(f"{house}/account/security")
    check(page)
    page.keyboard.type(user.email)
    page.keyboard.press("Tab")
    type_on(page, PASSWORD)
    arrive(page, "/sign-in/second-factor")
    check(page)
    type_on(page, code_of(secret))
    arrive(page, "/account/security")
    check(page)
    forget_proof(user)
    page.goto(f"{house}/account/security/password")
    arrive(page, "/sudo")
    check(page)
    type_on(page, code_of(secret, 1))
    arrive(page, "/account/security/password")
    check(page)
    assert complaints == []


def test_a_passkey_and_an_app_are_set_up_and_used(
    committed_db: Flask,
    chromium: Browser,
    house: str,
) -> None:
    user = new_user(Role.SUPPORT)
    page = open_page(chromium, viewport={"width": 320, "height": 640})
    complaints = complaints_of(page)
    with_key(page)
    sign_in(page, house, user.email)
    page.fill("#name", "Laptop")
    page.get_by_role("button", name="Add a passkey").click()
    page.wait_for_selector("#recovery-codes")
    check(page)
    page.get_by_role("link", name="I have kept them").click()
    page.get_by_role("button", name="Set up an app").click()
    secret = page.inner_text("#app-key")
    check(page)
    type_on(page, code_of(secret))
    page.wait_for_selector("text=Remove the app")
    check(page)
    page.context.clear_cookies()
    sign_in(page, house, user.email, arrives_at="/sign-in/second-factor")
    page.get_by_role("button", name="Use a passkey").click()
    arrive(page, "/account/security")
    assert complaints == []


def with_key(page: Page) -> None:
    """Give the browser an authenticator whose holder always agrees."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def sign_in(page: Page, house: str, email: str, arrives_at: str = "/account/security") -> None:
    page.goto(f"{house}/account/security")
    page.fill("#email", email)
    page.fill("#password", PASSWORD)
    page.press("#password", "Enter")
    arrive(page, arrives_at)


@pytest.mark.parametrize("has_script", [True, False])
def test_an_app_is_set_up_with_and_without_a_script(
    committed_db: Flask,
    chromium: Browser,
    house: str,
    has_script: bool,
) -> None:
    page = open_page(chromium, java_script_enabled=has_script)
    sign_in(page, house, new_user(Role.LEAD).email)
    assert page.get_by_role("button", name="Add a passkey").count() == int(has_script)
    page.get_by_role("button", name="Set up an app").click()
    page.fill("#code", code_of(page.inner_text("#app-key")))
    page.get_by_role("button", name="Switch it on").click()
    page.wait_for_selector("#recovery-codes")


@pytest.mark.parametrize("look", [LOOKS[Role.ADMIN], LOOKS[Role.SUPPORT]], ids=["wide", "narrow"])
def test_the_pages_of_links_are_clean(
    committed_db: Flask,
    chromium: Browser,
    house: str,
    look: dict[str, Any],
) -> None:
    with transaction():
        token = create_invitation("nina@example.test", [Role.SUPPORT], invited_by=SYSTEM)
    page = open_page(chromium, **look)
    for path in ("/password-reset", f"/invitation/{token}", "/invitation/never-was"):
        page.goto(house + path)
        check(page)
    page.goto(f"{house}/password-reset")
    type_on(page, "nobody@example.test")
    page.wait_for_selector("[role=status]")
    check(page)
