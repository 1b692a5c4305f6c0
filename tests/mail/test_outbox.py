"""Mail waits in PostgreSQL, goes out once its transaction is durable, and keeps no secret afterwards."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from portal.core.db import db, transaction
from portal.mail.backlog import MAIL
from portal.mail.models import Mail, MailboxMessage, MailKind
from portal.mail.outbox import MAX_ATTEMPTS, claim_mail, count_outbox, record_failed, record_sent
from portal.mail.sending import send_next_mail
from portal.mail.service import queue_mail
from portal.mail.transport import MailboxTransport, SmtpTransport, transport_for
from portal.settings import Settings, get_settings
from tests.core.certificates import self_signed
from tests.mail.smtp_server import SmtpServer, smtp_server

RESET = {"expires_at": "2026-11-23T12:30:00+00:00", "link": "/reset/very-secret-token"}


def settings_for(server: SmtpServer, **changes: Any) -> Settings:
    values = {"smtp_host": "127.0.0.1", "smtp_port": server.port, "smtp_security": "none"} | changes
    return get_settings().model_copy(update=values)


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with smtp_server() as running:
        yield running


@pytest.fixture
def smtp(app: Flask, server: SmtpServer) -> Iterator[SmtpTransport]:
    transport = SmtpTransport(settings_for(server))
    yield transport
    transport.rest()


def queue_reset(locale: str = "en", to: str = "anna@example.com") -> uuid.UUID:
    with transaction():
        return queue_mail(to, MailKind.PASSWORD_RESET, locale, RESET)


def row(mail_id: uuid.UUID) -> Any:
    return db.session.execute(text("SELECT * FROM mail WHERE id = :id"), {"id": mail_id}).one()


def make_due(mail_id: uuid.UUID) -> None:
    db.session.execute(
        text("UPDATE mail SET next_at = now() - interval '1 s' WHERE id = :id"), {"id": mail_id}
    )


def test_a_letter_arrives_with_its_link_and_the_row_forgets_it(
    smtp: SmtpTransport, server: SmtpServer
) -> None:
    mail_id = queue_reset()
    assert row(mail_id).secret_encrypted is not None
    assert "very-secret-token" not in str(row(mail_id))
    assert send_next_mail(smtp)
    assert not send_next_mail(smtp)
    [(receiver, letter)] = server.arrived
    assert receiver == "anna@example.com"
    assert letter["Subject"] == "A new password for Nostro"
    assert letter["Message-ID"] == f"<{mail_id}@localhost>"
    text_part, html_part = letter.get_body(("plain",)), letter.get_body(("html",))
    assert text_part is not None
    assert html_part is not None
    for part in (text_part.get_content(), html_part.get_content()):
        assert f"{get_settings().public_url}/reset/very-secret-token" in part
        assert "23 November 2026, 12:30 UTC" in part
    assert (row(mail_id).state, row(mail_id).secret_encrypted, row(mail_id).attempts) == ("sent", None, 1)


def test_the_database_keeps_no_secret_of_a_mail_that_was_sent(app: Flask) -> None:
    mail_id = queue_reset()
    with pytest.raises(Exception, match="ck_mail_sent_has_no_secret"), transaction():
        db.session.execute(text("UPDATE mail SET state = 'sent' WHERE id = :id"), {"id": mail_id})


def test_one_connection_carries_all_that_waits(smtp: SmtpTransport, server: SmtpServer) -> None:
    for _ in range(3):
        queue_reset()
    while send_next_mail(smtp):
        pass
    assert (len(server.arrived), server.connections) == (3, 1)


def test_a_rolled_back_transaction_sends_nothing(smtp: SmtpTransport, server: SmtpServer) -> None:
    with suppress(ZeroDivisionError), transaction():
        queue_mail("anna@example.com", MailKind.PASSWORD_RESET, "en", RESET)
        raise ZeroDivisionError
    assert not send_next_mail(smtp)
    assert server.arrived == []


@pytest.mark.proves("F27")
def test_a_busy_server_is_tried_again_later_and_given_up_in_the_end(
    smtp: SmtpTransport, server: SmtpServer
) -> None:
    server.answers["RCPT"] = "451 try later"
    mail_id = queue_reset()
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert send_next_mail(smtp)
        assert not send_next_mail(smtp), "it waits before the next attempt"
        assert row(mail_id).attempts == attempt
        assert row(mail_id).state == ("dead" if attempt == MAX_ATTEMPTS else "pending")
        make_due(mail_id)
    assert "451 try later" in row(mail_id).last_error
    assert count_outbox().dead == 1
    server.answers.clear()
    with transaction():
        assert MAIL.replay(None, 10) == 1
    assert send_next_mail(smtp)
    assert row(mail_id).state == "sent"
    assert len(server.arrived) == 1


def test_a_letter_that_its_process_dies_of_is_given_up_in_the_end(app: Flask) -> None:
    class Deadly(MailboxTransport):
        def carry(self, message: Any) -> None:
            raise SystemExit("killed")

    mail_id = queue_reset()
    for _ in range(MAX_ATTEMPTS):
        with pytest.raises(SystemExit):
            send_next_mail(Deadly())
        with transaction():
            db.session.execute(text("UPDATE mail SET lease_until = now() - interval '1 s'"))
    assert send_next_mail(Deadly())
    assert (row(mail_id).state, row(mail_id).attempts) == ("dead", MAX_ATTEMPTS + 1)
    assert not send_next_mail(Deadly())


@pytest.mark.parametrize("command", ["RCPT", "DATA"])
def test_a_letter_that_is_refused_for_good_is_not_tried_again(
    smtp: SmtpTransport, server: SmtpServer, command: str
) -> None:
    server.answers[command] = "550 nobody of that name"
    mail_id = queue_reset()
    send_next_mail(smtp)
    assert (row(mail_id).state, row(mail_id).attempts) == ("dead", 1)


def test_a_sender_that_is_refused_is_our_fault_and_tried_again(
    smtp: SmtpTransport, server: SmtpServer
) -> None:
    server.answers["MAIL"] = "550 who are you"
    mail_id = queue_reset()
    send_next_mail(smtp)
    assert row(mail_id).state == "pending"


def test_a_server_that_is_away_costs_time_and_no_mail(app: Flask) -> None:
    with smtp_server() as gone:
        settings = settings_for(gone)
    mail_id = queue_reset()
    assert send_next_mail(SmtpTransport(settings))
    assert row(mail_id).state == "pending"
    assert "ConnectionRefusedError" in row(mail_id).last_error


def test_who_lost_the_lease_records_nothing(app: Flask) -> None:
    mail_id = queue_reset()
    with transaction():
        first = claim_mail()
        assert claim_mail() is None, "a leased mail is nobody else's"
        db.session.execute(text("UPDATE mail SET lease_until = now() - interval '1 s'"))
        second = claim_mail()
        assert first is not None
        assert second is not None
        assert not record_sent(first)
        assert row(mail_id).state == "pending"
        assert record_sent(second)


def test_starttls_is_insisted_on_and_the_certificate_checked(app: Flask) -> None:
    serving, trusting = self_signed("localhost")
    with smtp_server(serving) as server:
        settings = settings_for(server, smtp_host="localhost", smtp_security="starttls")
        queue_reset()
        strange = SmtpTransport(settings)
        send_next_mail(strange)
        assert server.arrived == [], "nobody we trust vouches for this server"
        make_due(db.session.scalars(db.select(Mail.id)).one())
        known = SmtpTransport(settings, trust=trusting)
        send_next_mail(known)
        known.rest()
        assert len(server.arrived) == 1
    with smtp_server() as plain:
        queue_reset()
        send_next_mail(SmtpTransport(settings_for(plain, smtp_security="starttls")))
        assert plain.arrived == [], "a server that offers no encryption gets nothing"


def test_a_damaged_mail_holds_up_only_itself(smtp: SmtpTransport, server: SmtpServer) -> None:
    damaged, whole = queue_reset(), queue_reset("en", "boris@example.com")
    db.session.execute(
        text("UPDATE mail SET secret_encrypted = 'dev\\000nonsense' WHERE id = :id"), {"id": damaged}
    )
    while send_next_mail(smtp):
        pass
    assert row(damaged).state == "pending"
    assert row(whole).state == "sent"


@pytest.mark.proves("tried A6")
def test_a_link_does_not_go_to_an_address_that_was_written_into_its_row(
    smtp: SmtpTransport, server: SmtpServer
) -> None:
    moved, stays = queue_reset(), queue_reset("en", "boris@example.com")
    db.session.execute(
        text("UPDATE mail SET recipient = 'mallory@evil.example' WHERE id = :id"), {"id": moved}
    )
    while send_next_mail(smtp):
        pass
    assert [row(mail_id).state for mail_id in (moved, stays)] == ["pending", "sent"]
    assert len(server.arrived) == 1
    assert "mallory" not in str(server.arrived)


@pytest.mark.parametrize("link", ["https://evil.example/reset", "//evil.example/reset", "reset/x"])
def test_a_link_leads_to_this_house(app: Flask, link: str) -> None:
    with pytest.raises(ValueError, match="path of this house"), transaction():
        queue_mail("anna@example.com", MailKind.PASSWORD_RESET, "en", RESET | {"link": link})


@pytest.mark.parametrize(
    "to",
    ["anna", "a@b.example, c@d.example", "a@b.example\nBcc: c@d.example", "Anna <a@b.example>", "@b", "a@"],
)
def test_a_mail_has_one_receiver(app: Flask, to: str) -> None:
    with pytest.raises(ValueError, match="one email address"), transaction():
        queue_mail(to, MailKind.PASSWORD_RESET, "en", RESET)


def test_a_forgotten_parameter_is_noticed_when_it_is_queued(app: Flask) -> None:
    with pytest.raises(ValueError, match="needs exactly"), transaction():
        queue_mail("anna@example.com", MailKind.PASSWORD_RESET, "en", {"link": "/x"})


def test_in_development_letters_land_in_the_mailbox_and_in_production_they_wait(app: Flask) -> None:
    settings = get_settings()
    assert transport_for(settings.model_copy(update={"environment": "production"})) is None
    mailbox = transport_for(settings)
    assert isinstance(mailbox, MailboxTransport)
    queue_reset()
    assert send_next_mail(mailbox)
    letter = db.session.scalars(db.select(MailboxMessage)).one()
    assert (letter.recipient, letter.subject) == ("anna@example.com", "A new password for Nostro")


def test_what_people_are_called_can_not_change_the_letter(smtp: SmtpTransport, server: SmtpServer) -> None:
    params = {
        "invited_by": "Eve\nBcc: x@y.example\n\n<b>Your bank</b>",
        "expires_at": RESET["expires_at"],
        "link": "/invitation/x",
    }
    with transaction():
        queue_mail("anna@example.com", MailKind.INVITATION, "en", params)
    send_next_mail(smtp)
    [(_, letter)] = server.arrived
    assert letter["Bcc"] is None
    html, plain = letter.get_body(("html",)), letter.get_body(("plain",))
    assert html is not None
    assert plain is not None
    assert "<b>" not in html.get_content()
    assert "Eve Bcc: x@y.example <b>Your bank</b> invites you" in plain.get_content()


def test_what_failed_together_does_not_come_back_together(app: Flask) -> None:
    for _ in range(8):
        queue_reset()
    with transaction():
        db.session.execute(text("UPDATE mail SET attempts = :n"), {"n": MAX_ATTEMPTS - 2})
        for _ in range(8):
            mail = claim_mail()
            assert mail is not None
            record_failed(mail, "451 try later", is_final=False)
    spread = db.session.scalar(text("SELECT extract(epoch FROM max(next_at) - min(next_at)) FROM mail"))
    assert spread > 60, "of eight hours a tenth to either side"
