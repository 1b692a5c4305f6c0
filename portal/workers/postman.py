"""The postman: a thread of `flask relay` that carries mail, one after the other."""

from __future__ import annotations

import logging
from threading import Event

from flask import Flask

from portal.core.db import release, transaction
from portal.core.processes.presence import at_work
from portal.core.queues import QueueName, is_paused
from portal.mail.sending import send_next_mail
from portal.mail.transport import Transport, transport_for
from portal.settings import get_settings

log = logging.getLogger(__name__)

POLL_S = 1.0


def post_until(app: Flask, stop: Event) -> None:
    """Carry what is due until `stop`. Without a mail server in production everything waits, and says so once."""
    transport = transport_for(get_settings())
    if transport is None:
        log.warning("SMTP_HOST is not set: mail waits in the outbox")
        return
    while not stop.is_set():
        try:
            with app.app_context():
                was_busy = _post(transport)
                release()
        except Exception:
            log.exception("the postman could not reach the database")
            was_busy = False
        if not was_busy:
            transport.rest()
            stop.wait(POLL_S)
    transport.rest()


def _post(transport: Transport) -> bool:
    """Carry one mail; none while the queue is paused."""
    with transaction():
        if is_paused(QueueName.MAIL):
            return False
    with at_work("postman", "carrying mail"):
        return send_next_mail(transport)
