"""What of a value may stand in the audit log."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

HIDDEN = "***"
MAX_TEXT = 500
# A name that says what is in it: never written, whatever it holds.
_SECRET = re.compile(r"password|secret|token|hash|otp|recovery|cookie|authorization|private|credential")
_SECRET_NAMES = frozenset({"code", "codes", "key", "api_key"})
# Names of numbers by which money reaches somebody, or somebody is reached: their end identifies them.
_LAST_FOUR = frozenset({"number", "phone", "iban", "account", "card", "recipient_number"})
_LONG_NUMBER = re.compile(r"(?<![0-9A-Za-z-])[0-9](?:[ -]?[0-9]){11,18}(?![0-9A-Za-z-])")


def masked(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields as the log keeps them: secrets hidden, numbers by their last four, long texts cut.

    Raises TypeError for a value that JSON could not hold exactly.
    """
    return {name: _shown(name, value) for name, value in fields.items()}


def last_four(number: str) -> str:
    plain = re.sub(r"[^0-9A-Za-z]", "", number)
    return f"{HIDDEN}{plain[-4:]}" if len(plain) > 4 else HIDDEN


def _shown(name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if _SECRET.search(name) or name in _SECRET_NAMES:
        return HIDDEN
    if name in _LAST_FOUR and isinstance(value, str):
        return last_four(value)
    return _plain(name, value)


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return _LONG_NUMBER.sub(lambda found: last_four(found[0]), str(value).replace("\0", ""))[:MAX_TEXT]
    if isinstance(value, int):
        return int(value)
    if isinstance(value, UUID | datetime):
        return value.isoformat() if isinstance(value, datetime) else str(value)
    if isinstance(value, Mapping):
        return {str(inner): _shown(str(inner), held) for inner, held in value.items()}
    if isinstance(value, Iterable):
        listed = [_shown(name, held) for held in value]
        return sorted(listed) if isinstance(value, set | frozenset) else listed
    raise TypeError(f"{name}: the audit log cannot hold a {type(value).__name__}")
