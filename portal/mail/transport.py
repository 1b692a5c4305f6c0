"""What carries letters: SMTP where a server is set, the developers' mailbox where none is and nobody is real."""

from __future__ import annotations

import smtplib
import ssl
from contextlib import suppress
from email.message import EmailMessage
from email.utils import formatdate, parseaddr
from enum import StrEnum
from typing import Protocol

from portal.core.db import hot, run_in_transaction
from portal.core.ids import new_id
from portal.mail.rendering import Letter
from portal.settings import Settings

TIMEOUT_S = 10.0


class NotCarried(Exception):
    """The letter did not get out. `is_final`: the receiver's server will never take it."""

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.is_final = is_final


class Transport(Protocol):
    def carry(self, letter: Letter) -> None:
        """Hand one letter over. Raises NotCarried."""

    def rest(self) -> None:
        """Nothing to carry for now: let go of what was held open."""


class MailGoes(StrEnum):
    """Where letters go with these settings: out of the house, into a page for developers, or nowhere."""

    OUT = "out"
    TO_MAILBOX = "to mailbox"
    NOWHERE = "nowhere"


def mail_goes(settings: Settings) -> MailGoes:
    if settings.smtp_host:
        return MailGoes.OUT
    return MailGoes.TO_MAILBOX if settings.has_mailbox else MailGoes.NOWHERE


def transport_for(settings: Settings) -> Transport | None:
    """None when mail has to wait until the operator sets SMTP_HOST."""
    way = mail_goes(settings)
    if way is MailGoes.OUT:
        return SmtpTransport(settings)
    return MailboxTransport() if way is MailGoes.TO_MAILBOX else None


class SmtpTransport:
    """One connection for as long as there is something to carry."""

    def __init__(self, settings: Settings, *, trust: ssl.SSLContext | None = None) -> None:
        self._settings = settings
        self._trust = trust or ssl.create_default_context()
        self._server: smtplib.SMTP | None = None

    def carry(self, letter: Letter) -> None:
        try:
            server = self._connected()
            server.send_message(
                _message(letter, self._settings.mail_from),
                from_addr=parseaddr(self._settings.mail_from)[1],
                to_addrs=[letter.recipient],
            )
        except smtplib.SMTPRecipientsRefused as refusal:
            code, words = next(iter(refusal.recipients.values()))
            raise NotCarried(_said(code, words), is_final=500 <= code < 600) from None
        except smtplib.SMTPDataError as refusal:
            self.rest()
            is_final = 500 <= refusal.smtp_code < 600
            raise NotCarried(_said(refusal.smtp_code, refusal.smtp_error), is_final=is_final) from None
        except smtplib.SMTPResponseException as refusal:
            # Who we are is refused, not this letter: the operator can put that right.
            self.rest()
            raise NotCarried(_said(refusal.smtp_code, refusal.smtp_error)) from None
        except (smtplib.SMTPException, OSError) as error:
            self.rest()
            raise NotCarried(f"{type(error).__name__}: {error}") from None

    def _connected(self) -> smtplib.SMTP:
        if self._server is not None:
            return self._server
        settings = self._settings
        assert settings.smtp_host
        if settings.smtp_security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                settings.smtp_host, settings.smtp_port, timeout=TIMEOUT_S, context=self._trust
            )
        else:
            server = smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=TIMEOUT_S)
        self._server = server
        if settings.smtp_security == "starttls":
            server.starttls(context=self._trust)
        if settings.smtp_user:
            server.login(settings.smtp_user, settings.smtp_password.get_secret_value())
        return server

    def rest(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            with suppress(smtplib.SMTPException, OSError):
                server.quit()
            server.close()


def _said(code: int, words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return f"{code} {text}".replace("\0", "")


def _message(letter: Letter, sender: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = sender
    message["To"] = letter.recipient
    message["Subject"] = letter.subject
    message["Date"] = formatdate()
    message["Message-ID"] = letter.message_id
    # No vacation notices back.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    return message


_KEEP = """
INSERT INTO mailbox_message (id, recipient, subject, text, html)
VALUES (%(id)s, %(recipient)s, %(subject)s, %(text)s, %(html)s)
"""


class MailboxTransport:
    """Puts letters where developers read them. Opens its own transactions."""

    def carry(self, letter: Letter) -> None:
        values = {
            "id": new_id(),
            "recipient": letter.recipient,
            "subject": letter.subject,
            "text": letter.text,
            "html": letter.html,
        }
        run_in_transaction(lambda: hot(_KEEP, values))

    def rest(self) -> None:
        return None
