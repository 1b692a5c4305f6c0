"""Identifiers: UUIDv7 inside, prefixed base32 outside. Both sort by time of creation."""

from __future__ import annotations

import os
import re
import time
import uuid
from datetime import datetime

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base32, lower case: no i, l, o, u
_VALUES = {char: value for value, char in enumerate(_ALPHABET)}
_LENGTH = 26  # 128 bits in groups of five
_SHAPE = re.compile(r"([a-z]{2,4})_([0-7][0-9a-hjkmnp-tv-z]{25})", re.ASCII)
PREFIXES = frozenset(
    {"ord", "st", "mrc", "trd", "req", "dsp", "wdr", "dep", "evt", "whe", "whd", "usr", "rcp"}
)


def new_id() -> uuid.UUID:
    """A UUIDv7 (RFC 9562): 48 bits of milliseconds, 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    random_bits = int.from_bytes(os.urandom(10), "big")
    value = milliseconds << 80
    value |= 0x7 << 76 | (random_bits >> 68) << 64
    value |= 0b10 << 62 | random_bits & 0x3FFF_FFFF_FFFF_FFFF
    return uuid.UUID(int=value)


def least_id_at(moment: datetime | None, shift_s: int = 0) -> uuid.UUID | None:
    """The least UUIDv7 of a moment, so many seconds later: ids grow with time, and a period is a range of them."""
    if moment is None:
        return None
    milliseconds = max(int((moment.timestamp() + shift_s) * 1000), 0)
    return uuid.UUID(int=milliseconds << 80)


def public_id(prefix: str, value: uuid.UUID) -> str:
    """The id as the outside sees it: `ord_01h2...`."""
    if prefix not in PREFIXES:
        raise ValueError(f"unknown prefix {prefix}")
    number = value.int
    digits = []
    for _ in range(_LENGTH):
        digits.append(_ALPHABET[number & 31])
        number >>= 5
    return f"{prefix}_{''.join(reversed(digits))}"


def parse_public_id(prefix: str, text: str) -> uuid.UUID | None:
    """The UUID behind a public id, or None when it is not one of this kind."""
    match = _SHAPE.fullmatch(text)
    if match is None or match[1] != prefix:
        return None
    number = 0
    for char in match[2]:
        number = number << 5 | _VALUES[char]
    return uuid.UUID(int=number)
