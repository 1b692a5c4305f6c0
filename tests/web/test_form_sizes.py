"""A form is bounded before it is parsed: neither its bytes nor its fields are a stranger's to choose."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.wrappers import Request

from portal.identity.models import Role
from portal.reference import configuration as config
from portal.reference.upload_sizes import LARGEST_REQUEST_BYTES
from portal.web.shell.security import FORM_MOST_BYTES, FORM_MOST_FIELDS
from tests.web.desk import Browser, new_user

pytestmark = pytest.mark.proves("tried S1")

ROOT = Path(__file__).parents[2]
MIB = 1024 * 1024
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with each form that the framework begins to parse."""
    seen: list[str] = []
    load = Request._load_form_data

    def note(self: Request) -> None:
        seen.append(self.path)
        load(self)

    monkeypatch.setattr(Request, "_load_form_data", note)
    return seen


@pytest.mark.parametrize("path", ["/sign-in", "/account/profile", "/pay/x/claim", "/nowhere"])
@pytest.mark.parametrize(
    "body",
    [b"a=&" * 1_000_000, b"a=" + b"x" * FORM_MOST_BYTES, b"&" * FORM_MOST_FIELDS, b"=&" * FORM_MOST_FIELDS],
    ids=["a million fields", "one long field", "nameless", "empty"],
)
def test_a_form_too_large_is_refused_before_it_is_parsed(
    in_context: Flask, parsed: list[str], path: str, body: bytes
) -> None:
    browser = Browser(in_context.test_client())
    answer = browser.open("POST", path, data=body, headers=FORM)
    # A payment page says first that there is no such payment.
    assert answer.status_code == (404 if path.startswith("/pay/") else 413)
    assert parsed == []


def test_a_form_within_the_bounds_is_read_whole(in_context: Flask) -> None:
    browser = Browser(in_context.test_client())
    browser.begin_session(new_user(Role.TRADER))
    data = {f"extra-{n}": "" for n in range(FORM_MOST_FIELDS - 10)} | {"csrf_token": browser.token}
    assert browser.open("POST", "/sign-out", data=data).status_code == 303


def test_the_largest_receipt_that_can_be_allowed_comes_through_nginx_and_the_web(app: Flask) -> None:
    told = re.findall(r"client_max_body_size (\d+)m;", (ROOT / "deploy/nginx.conf").read_text())
    assert [int(mib) * MIB for mib in told] == [LARGEST_REQUEST_BYTES] == [app.config["MAX_CONTENT_LENGTH"]]
    assert config.RECEIPT_MAX_MIB.maximum is not None
    assert config.RECEIPT_MAX_MIB.maximum * MIB + FORM_MOST_BYTES < LARGEST_REQUEST_BYTES
