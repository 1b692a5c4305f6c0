"""The developers' mailbox: there in development, not there in production."""

from __future__ import annotations

import re

import pytest
from flask import Flask

from portal import create_app
from portal.core.db import transaction
from portal.mail.models import MailKind
from portal.mail.sending import send_next_mail
from portal.mail.service import queue_mail
from portal.mail.transport import MailboxTransport, transport_for
from portal.settings import get_settings
from tests.web.desk import Browser


def test_a_letter_can_be_read_and_its_link_followed(app: Flask) -> None:
    browser = Browser(app.test_client())
    assert "No letters" in browser.get("/dev/mailbox").text
    params = {"expires_at": "2026-11-23T12:30:00+00:00", "link": "/reset/token-of-anna"}
    with transaction():
        queue_mail("anna@example.com", MailKind.PASSWORD_RESET, "en", params)
    send_next_mail(MailboxTransport())
    listed = browser.get("/dev/mailbox").text
    path = re.search(r'href="(/dev/mailbox/[0-9a-f-]+)"', listed)
    assert path is not None
    assert "anna@example.com" in listed
    letter = browser.get(path[1]).text
    address = f"{get_settings().public_url}/reset/token-of-anna"
    assert f'<a href="{address}">{address}</a>' in letter
    assert "No letters" in browser.get("/dev/mailbox?to=boris@example.com").text
    assert "anna@example.com" in browser.get("/dev/mailbox?to=Anna@example.com").text
    as_html = browser.get(f"{path[1]}/html")
    assert "sandbox" in as_html.headers["Content-Security-Policy"]
    assert address in as_html.text
    assert browser.get("/dev/mailbox/00000000-0000-7000-8000-000000000000").status_code == 404


@pytest.mark.proves("ASVS 37")
@pytest.mark.parametrize(
    "changes",
    [
        {"environment": "production"},
        {"smtp_host": "mail.example.com"},
        {"public_url": "https://pay.example.com"},
    ],
)
def test_there_is_no_mailbox_where_people_are_real(
    app: Flask, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str]
) -> None:
    settings = get_settings().model_copy(update=changes)
    monkeypatch.setattr("portal.web.dev.mailbox.get_settings", lambda: settings)
    without = create_app()
    assert [rule.rule for rule in without.url_map.iter_rules() if rule.rule.startswith("/dev/mailbox")] == []
    assert without.test_client().get("/dev/mailbox").status_code == 404
    assert not isinstance(transport_for(settings), MailboxTransport)
