"""Cursors: where the next page of a list goes on, as a text that whoever reads the list carries back.

A position is what the last line of a page is sorted by, as texts. Here alone it becomes a cursor, and a cursor a
position. Its reader may change it: every list is narrowed to what the reader may see before it goes on, and what no
list has given is a BadCursor, never an error of the database.

The API's cursors are the bytes of one id or number, those of pages are all values of the position.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

Position = tuple[str, ...]
_NUMBERS_END = 2**62
_LONGEST_NUMBER = 19


class BadCursor(ValueError):
    """A cursor that no list has given, or another list than this."""


def position_of(*values: uuid.UUID | int | datetime | str) -> Position:
    return tuple(value.isoformat() if isinstance(value, datetime) else str(value) for value in values)


def encode(position: Position) -> str:
    return _text_of(json.dumps(position).encode())


def decode(cursor: str) -> Position:
    """What `encode` was given. Raises BadCursor."""
    try:
        values = json.loads(_bytes_of(cursor))
    except (ValueError, RecursionError):
        raise BadCursor(cursor) from None
    if isinstance(values, list) and values and all(isinstance(value, str) for value in values):
        return tuple(values)
    raise BadCursor(cursor)


def encode_id(value: uuid.UUID) -> str:
    return _text_of(value.bytes)


def decode_id(cursor: str) -> uuid.UUID:
    """What `encode_id` was given. Raises BadCursor."""
    return uuid.UUID(bytes=_bytes_of(cursor, 16))


def encode_number(value: int) -> str:
    return _text_of(value.to_bytes(8, "big"))


def decode_number(cursor: str) -> int:
    """What `encode_number` was given; never more than the database's bigint holds. Raises BadCursor."""
    return int.from_bytes(_bytes_of(cursor, 8), "big") & 2**63 - 1


def id_in(position: Position | None) -> uuid.UUID | None:
    """The id that is the whole position; None for the first page, as in the others. Raises BadCursor."""
    return read_id(*_parts(position, 1)) if position is not None else None


def number_in(position: Position | None) -> int | None:
    return read_number(*_parts(position, 1)) if position is not None else None


def moment_and_number_in(position: Position | None) -> tuple[datetime, int] | None:
    if position is None:
        return None
    moment, number = _parts(position, 2)
    return read_moment(moment), read_number(number)


def value_and_id_in(position: Position | None) -> tuple[str, uuid.UUID] | None:
    """A sorted value, which `Listed` reads by its sort (`value_as`), and the id."""
    if position is None:
        return None
    value, key = _parts(position, 2)
    return value, read_id(key)


def value_as(kind: str, value: str) -> str:
    """The value as the database takes it for this type: text, uuid, bigint or timestamptz. Raises BadCursor."""
    return _AS[kind](value)


def read_id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise BadCursor(text) from None


def read_number(text: str) -> int:
    """A number from 0 on. Raises BadCursor."""
    if not (
        text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER and int(text) < _NUMBERS_END
    ):
        raise BadCursor(text)
    return int(text)


def read_moment(text: str) -> datetime:
    """An aware time, in UTC. Raises BadCursor."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise BadCursor(text)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadCursor(text) from None


def _read_words(text: str) -> str:
    """Text that the database can hold. Raises BadCursor."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadCursor(text) from None
    if "\0" in text:
        raise BadCursor(text)
    return text


def _moment_or_never(text: str) -> str:
    return text if text == "-infinity" else read_moment(text).isoformat()


_AS: Mapping[str, Callable[[str], str]] = {
    "text": _read_words,
    "uuid": lambda text: str(read_id(text)),
    "bigint": lambda text: str(read_number(text)),
    "timestamptz": _moment_or_never,
}


def _parts(position: Position, count: int) -> Position:
    if len(position) != count:
        raise BadCursor(position)
    return position


def _text_of(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes_of(cursor: str, length: int | None = None) -> bytes:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise BadCursor(cursor) from None
    if length is not None and len(raw) != length:
        raise BadCursor(cursor)
    return raw
