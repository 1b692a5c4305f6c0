"""Telling somebody that a device they were never seen with has signed in to their account."""

from __future__ import annotations

import uuid

from portal.identity.tokens.devices import device_words, get_opened_session
from portal.mail.links import SECURITY
from portal.notifications.models import NotificationKind
from portal.notifications.service import notify


def tell_of_new_device(session_id: uuid.UUID) -> None:
    """Tell the owner of a session that was just opened, once. Raises NotFound. Needs transaction()."""
    opened = get_opened_session(session_id)
    params = {
        "at": opened.created_at.isoformat(),
        "ip": opened.ip or "-",
        "device": device_words(opened.user_agent),
    }
    notify([opened.user_id], NotificationKind.NEW_DEVICE, params, SECURITY, about=str(session_id))
