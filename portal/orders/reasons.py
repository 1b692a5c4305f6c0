"""Why something happened to an order, as it is stored: a code, and perhaps the words of whoever chose it."""

from __future__ import annotations

_BETWEEN = ": "


def with_words(code: str, words: str | None) -> str:
    """One line of both; the code alone where nothing was added."""
    return f"{code}{_BETWEEN}{words}" if words else code


def parted(reason: str) -> tuple[str, str]:
    """What with_words() made one: the code, and the words or nothing."""
    code, _, words = reason.partition(_BETWEEN)
    return code, words
