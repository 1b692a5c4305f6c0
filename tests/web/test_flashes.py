"""What the next page says of what was just done: once, to nobody else, and nothing that the house did not write."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from portal.core.crypto import mark
from portal.identity.models import Role
from portal.web.shell.security import flash_cookie
from tests.web.desk import Browser, new_user

ROOT = Path(__file__).parents[2]


@pytest.fixture
def app(committing_app: Flask) -> Flask:
    return committing_app


@pytest.fixture
def reader(in_context: Flask) -> Browser:
    browser = Browser(in_context.test_client())
    browser.begin_session(new_user(Role.TRADER))
    return browser


def save(reader: Browser) -> TestResponse:
    data = {"csrf_token": reader.token, "name": "Tara", "language": "en", "timezone": "UTC", "theme": "auto"}
    answer = reader.open("POST", "/account", data=data | {"density": "compact"})
    assert answer.status_code == 303, answer.text
    return answer


def cookie_of(words: str) -> str:
    written = quote(words, safe="")
    return f"{written}.{mark('flash', written)}"


def held(reader: Browser) -> bool:
    return reader.client.get_cookie(flash_cookie()) is not None


def test_the_next_page_says_it_and_the_one_after_does_not(reader: Browser) -> None:
    (line,) = [line for line in save(reader).headers.getlist("Set-Cookie") if flash_cookie() in line]
    assert {"HttpOnly", "Path=/", "SameSite=Lax", "Max-Age=300"} <= set(line.split("; "))
    assert "Saved." in reader.get("/account").text
    assert not held(reader)
    assert "Saved." not in reader.get("/account").text


def test_what_no_page_has_said_yet_is_said_with_what_comes_after_it(reader: Browser) -> None:
    reader.client.set_cookie(flash_cookie(), cookie_of("The first words."))
    save(reader)
    page = reader.get("/account").text
    assert page.index("The first words.") < page.index("Saved.")


@pytest.mark.parametrize(
    "planted",
    [
        "Your account is closed.", "", ".", "a.b", "....", "%00.%00", "\N{SNOWMAN}.\N{SNOWMAN}", "=" * 3000,
        quote("Your account is closed."), f"{quote('Your account is closed')}.{'A' * 22}",
        f"{quote('Your account is closed')}.{mark('form', quote('Your account is closed'))}",
        cookie_of("Saved.")[1:], "A" + cookie_of("Saved."), cookie_of("Saved.") + "A",
    ],
)  # fmt: skip
def test_what_somebody_else_wrote_into_the_cookie_is_not_said(reader: Browser, planted: str) -> None:
    """A neighbour under the same domain can plant cookies where there is no https."""
    reader.client.set_cookie(flash_cookie(), planted)
    answer = reader.get("/account")
    assert answer.status_code == 200
    assert "account is closed" not in answer.text
    assert "Saved." not in answer.text


def test_words_are_text_on_the_page(reader: Browser) -> None:
    reader.client.set_cookie(flash_cookie(), cookie_of("<script>1</script>"))
    page = reader.get("/account").text
    assert "&lt;script&gt;1&lt;/script&gt;" in page
    assert "<script>1" not in page


def test_who_comes_after_somebody_is_not_told_what_was_meant_for_them(reader: Browser) -> None:
    reader.client.set_cookie(flash_cookie(), cookie_of("Meant for Tara."))
    assert reader.open("POST", "/sign-out", data={"csrf_token": reader.token}).status_code == 303
    assert not held(reader)
    assert "Meant for Tara." not in reader.get("/sign-in").text


def test_a_page_without_words_neither_takes_nor_sets_the_cookie(reader: Browser) -> None:
    assert not reader.get("/account").headers.getlist("Set-Cookie")


def test_nobody_uses_the_frameworks_own_words_which_no_page_says() -> None:
    own = re.compile(r"from flask import [^\n]*\b(?:flash|get_flashed_messages)\b")
    assert [path for path in (ROOT / "portal").rglob("*.py") if own.search(path.read_text())] == []


def test_a_planted_cookie_of_the_sign_in_library_keeps_nobody_out(reader: Browser) -> None:
    reader.client.set_cookie("remember_token", f"1|{'0' * 128}")
    assert reader.get("/account").status_code == 200
