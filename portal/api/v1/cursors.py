"""The cursor of a list as a caller of the API sends it back: what is none is a problem with its field."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TypeVar

from portal.core.cursors import BadCursor, decode_id, decode_number
from portal.core.errors import ValidationFailed

Decoded = TypeVar("Decoded")


def id_after(cursor: str | None) -> uuid.UUID | None:
    """The id in a cursor, None for the first page. Raises ValidationFailed for anything else."""
    return _decoded(decode_id, cursor)


def number_after(cursor: str | None) -> int | None:
    return _decoded(decode_number, cursor)


def _decoded(decode: Callable[[str], Decoded], cursor: str | None) -> Decoded | None:
    try:
        return None if cursor is None else decode(cursor)
    except BadCursor:
        raise ValidationFailed.of("cursor", "malformed", "Use the next_cursor of the page before.") from None
