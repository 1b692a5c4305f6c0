"""Putting mail into the outbox."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping

from portal.core.crypto import encrypt
from portal.core.db import db
from portal.core.ids import new_id
from portal.mail.kinds import RECEIVER, SHAPES
from portal.mail.languages import LANGUAGES
from portal.mail.models import Mail, MailKind

_LONGEST_ADDRESS = 254


def queue_mail(to: str, kind: MailKind, locale: str, params: Mapping[str, str]) -> uuid.UUID:
    """Write a mail that is sent once the caller's transaction is committed; returns its id.

    `locale` is the receiver's language, English when we don't speak it. Every parameter of the kind
    (portal.mail.kinds) must be there; times are ISO 8601 in UTC; `link` is a path of this house, so that
    no header of a request can lead the receiver elsewhere. Raises ValueError. Needs transaction().
    """
    shape = SHAPES[kind]
    if params.keys() != shape.names:
        raise ValueError(f"a mail of kind {kind} needs exactly {sorted(shape.names)}")
    if not params.get("link", "/").startswith("/") or params.get("link", "").startswith("//"):
        raise ValueError("the link of a mail is a path of this house, beginning with one slash")
    check_address(to)
    mail_id = new_id()
    secret = {name: params[name] for name in sorted(shape.secret)}
    # A link goes to whom it was written for, whatever the row says by then.
    sealed = json.dumps(secret | {RECEIVER: to})
    mail = Mail(
        id=mail_id,
        kind=kind.value,
        recipient=to,
        locale=locale if locale in LANGUAGES else "en",
        params={name: params[name] for name in sorted(shape.plain)},
        secret_encrypted=encrypt("mail", "secret", mail_id, sealed) if secret else None,
    )
    db.session.add(mail)
    db.session.flush()
    return mail_id


def check_address(to: str) -> None:
    """One address and nothing else: no second receiver, no header of its own. Raises ValueError."""
    local, _, domain = to.rpartition("@")
    if (
        not local
        or not domain
        or len(to) > _LONGEST_ADDRESS
        or not to.isprintable()
        or set(to) & set(' ,;:<>()"')
    ):
        raise ValueError("this is not one email address")
