"""Cursors of keyset lists: the place of the last line, in a text that callers only carry back.

A made-up cursor can do no harm: every list is narrowed to its store before the cursor is looked at.
"""

from __future__ import annotations

import base64
import binascii
import uuid

from portal.core.errors import ValidationFailed


def cursor_of(last: uuid.UUID | int) -> str:
    raw = last.bytes if isinstance(last, uuid.UUID) else last.to_bytes(8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def uuid_of(cursor: str | None) -> uuid.UUID | None:
    """The id in a cursor, None for the first page. Raises ValidationFailed for anything else."""
    raw = _bytes_of(cursor, 16)
    return None if raw is None else uuid.UUID(bytes=raw)


def number_of(cursor: str | None) -> int | None:
    raw = _bytes_of(cursor, 8)
    return None if raw is None else int.from_bytes(raw, "big") & 2**63 - 1


def _bytes_of(cursor: str | None, length: int) -> bytes | None:
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != length:
        raise ValidationFailed.of("cursor", "malformed", "Use the next_cursor of the page before.")
    return raw
