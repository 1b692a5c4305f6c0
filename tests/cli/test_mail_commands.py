"""`flask mail`: what waits, what was given up, and trying the mail server."""

from __future__ import annotations

import json

import pytest
from flask import Flask
from sqlalchemy import text

from portal.core.db import db, transaction
from portal.mail.models import MailboxMessage, MailKind
from portal.mail.service import queue_mail
from portal.settings import get_settings
from tests.mail.smtp_server import smtp_server

PARAMS = {"expires_at": "2026-11-23T12:30:00+00:00", "link": "/reset/x"}


def test_status_counts_and_fails_while_something_was_given_up(app: Flask) -> None:
    with transaction():
        queue_mail("anna@example.com", MailKind.PASSWORD_RESET, "en", PARAMS)
        dead = queue_mail("boris@example.com", MailKind.PASSWORD_RESET, "en", PARAMS)
        db.session.execute(
            text("UPDATE mail SET state = 'dead', done_at = now() WHERE id = :id"), {"id": dead}
        )
    answer = app.test_cli_runner().invoke(args=["mail", "status", "--json"])
    assert answer.exit_code == 1
    counted = json.loads(answer.output)
    assert (counted["pending"], counted["dead"]) == (1, 1)
    run = app.test_cli_runner().invoke
    assert run(args=["mail", "replay"]).exit_code == 2, "a reason is needed"
    replayed = run(args=["mail", "replay", "--reason", "The server is back", "--json"])
    assert json.loads(replayed.output) == {"replayed": 1}
    entries = json.loads(run(args=["audit", "list", "--action", "queue.replayed", "--json"]).output)
    assert "The server is back" in str(entries)
    assert run(args=["mail", "replay", "--reason", "Again"]).exit_code == 1
    plain = app.test_cli_runner().invoke(args=["mail", "status"])
    assert (plain.exit_code, "2 waiting" in plain.output) == (0, True)


def test_a_letter_can_be_tried(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = app.test_cli_runner()
    assert "/dev/mailbox" in runner.invoke(args=["mail", "try", "anna@example.com"]).output
    assert db.session.scalars(db.select(MailboxMessage.recipient)).all() == ["anna@example.com"]
    assert runner.invoke(args=["mail", "try", "nobody"]).exit_code == 1
    with smtp_server() as server:
        set_up = {"smtp_host": "127.0.0.1", "smtp_port": server.port, "smtp_security": "none"}
        settings = get_settings().model_copy(update=set_up)
        monkeypatch.setattr("portal.cli.mail.get_settings", lambda: settings)
        assert runner.invoke(args=["mail", "try", "anna@example.com"]).exit_code == 0
        assert [receiver for receiver, _ in server.arrived] == ["anna@example.com"]
        server.answers["RCPT"] = "550 nobody of that name"
        refused = runner.invoke(args=["mail", "try", "anna@example.com"])
        assert (refused.exit_code, "550 nobody" in refused.output) == (1, True)
