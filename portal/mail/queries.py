"""Reading the developers' mailbox."""

from __future__ import annotations

import uuid

from sqlalchemy import select

from portal.core.db import db
from portal.core.errors import NotFound
from portal.mail.models import MailboxMessage


def list_mailbox(recipient: str = "", *, limit: int = 100) -> list[MailboxMessage]:
    """The newest letters, of everybody or of one receiver."""
    query = select(MailboxMessage).order_by(MailboxMessage.id.desc()).limit(limit)
    if recipient:
        query = query.where(MailboxMessage.recipient == recipient.strip().lower())
    return list(db.session.scalars(query))


def get_mailbox_message(message_id: uuid.UUID) -> MailboxMessage:
    """One letter. Raises NotFound."""
    message = db.session.get(MailboxMessage, message_id)
    if message is None:
        raise NotFound()
    return message
