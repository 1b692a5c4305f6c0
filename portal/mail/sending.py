"""Carrying what is due, one mail after the other: claim, carry, record. No transaction waits for the network."""

from __future__ import annotations

import logging

from jinja2 import TemplateError

from portal.core.crypto import DecryptionFailed
from portal.core.db import run_in_transaction
from portal.mail.outbox import MAX_ATTEMPTS, ClaimedMail, claim_mail, record_failed, record_sent
from portal.mail.rendering import render_mail
from portal.mail.transport import NotCarried, Transport

log = logging.getLogger(__name__)


def send_next_mail(transport: Transport) -> bool:
    """Send the mail that is due longest; whether there was one. Opens its own transactions.

    What the transport does not take is tried again on a schedule and is dead in the end.
    """
    mail = run_in_transaction(claim_mail)
    if mail is None:
        return False
    if mail.attempts > MAX_ATTEMPTS:
        # Claimed that often, and nobody lived to say what came of it.
        _note_failure(mail, "whoever carried it ended each time", is_final=True)
        return True
    try:
        transport.carry(render_mail(mail))
    except NotCarried as refusal:
        _note_failure(mail, str(refusal), is_final=refusal.is_final)
    except (DecryptionFailed, TemplateError, KeyError, ValueError) as error:
        # A defect or a lost key of ours: the schedule leaves time to put it right.
        log.exception("a mail could not be written", extra={"mail": str(mail.id), "kind": mail.kind.value})
        _note_failure(mail, type(error).__name__, is_final=False)
    else:
        if not run_in_transaction(lambda: record_sent(mail)):
            log.warning("the lease of a mail was lost while it was sent", extra={"mail": str(mail.id)})
    return True


def _note_failure(mail: ClaimedMail, reason: str, *, is_final: bool) -> None:
    state = run_in_transaction(lambda: record_failed(mail, reason, is_final=is_final))
    log.warning(
        "a mail was not sent",
        extra={"mail": str(mail.id), "kind": mail.kind.value, "attempts": mail.attempts, "state": state},
    )
