"""The one place where what must not be kept is taken out, before anything leaves the process by a log line,
an error report or Sentry.

It errs on the safe side: a harmless number that looks like a card's or a phone's is taken out as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

REMOVED = "[removed]"
LONGEST_TEXT = 20_000
_DEEPEST = 8

_SECRET_NAME = re.compile(
    r"passw|secret|token|authori[sz]ation|cookie|api[-_]?key|csrf|signature|credential|private|session(?!s)|"
    r"e-?mail|phone|iban|\bpan\b|card|recipient|holder|requisite_number|account_number|recovery|otp|"
    r"^number$|^body$|^answer$|^customer$",
    re.IGNORECASE,
)
# Each of these begins where a run of its letters begins, and takes the run whole or not at all (`++`): what a stranger
# writes into a log line is gone through once, however it is made.
# A name and its value in running text: headers, query strings, JSON, keyword arguments.
_NAMED = re.compile(
    r"(?i)(?P<name>(?<![\w-])"
    r"(?=[\w-]*?(?:passw(?:or)?d|secret|token|authori[sz]ation|api[-_]?key|cookie|csrf|otp))[\w-]++"
    r"[\"']?+\s*+[:=]\s*+)(?:(?:bearer|basic)\s++)?(?P<value>\"[^\"]*\"|'[^']*'|[^\s,;&}\])]+)"
)
_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?i)\b(?:bearer|basic)\s+[\w.~+/=-]{8,}",
        r"(?<![\w-])(?=[\w-]*?\beyJ[\w-]{8})[\w-]++\.[\w-]++\.[\w-]*+",  # a JWT, with what hangs in front of it
        r"\b(?:nst_(?:live|test)|nrt|whsec|sntrys?)_[\w+/=.-]{8,}",  # our own keys and tokens
        r"(?<=://)[^\s/@:]*+:[^\s/@]*+(?=@)",  # user and password in an address
        r"(?<=/pay/)[\w-]{16,}|(?<=/invitation/)[\w-]{16,}|(?<=/password-reset/)[\w-]{16,}",
        r"(?<![\w.+%-])[\w.+%-]++@[\w-]++(?:\.[\w-]++)++",  # an email address
        r"(?<![\w-])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?(?![\w-])",  # an IBAN
        r"(?<![\w.-])(?:\d[ -]?){12,18}\d(?![\w-])",  # a card's number, also in groups
        r"\+\d[\d ()-]{8,18}\d",  # a phone, as it is dialled
        r"(?<![\w.-])\d{10,34}(?![\w-])",  # a phone or an account
    )
)
# What PostgreSQL quotes from the row that it refuses.
_QUOTED_ROW = re.compile(r"(?m)^(?:DETAIL|CONTEXT|WHERE):.*$|\[parameters: .*")

_known: tuple[str, ...] = ()


def know_secrets(values: Iterable[str]) -> None:
    """Take these very values out from now on, wherever they turn up. Short ones would hide too much."""
    global _known  # noqa: PLW0603 - the process's own secrets, told once at the start
    _known = tuple(sorted({value for value in values if len(value) >= 8}, key=len, reverse=True))


def redact_text(text: str) -> str:
    """The text without keys, passwords, tokens, numbers of cards, accounts and phones, and email addresses."""
    if len(text) > LONGEST_TEXT:
        text = f"{text[: LONGEST_TEXT // 2]} ... {text[-LONGEST_TEXT // 2 :]}"
    for secret in _known:
        if secret in text:
            text = text.replace(secret, REMOVED)
    text = _QUOTED_ROW.sub(REMOVED, text)
    text = _NAMED.sub(lambda match: match["name"] + REMOVED, text)
    for pattern in _PATTERNS:
        text = pattern.sub(REMOVED, text)
    return text


def redact(value: Any, name: str = "", depth: int = 0) -> Any:
    """A copy of plain data (mappings, lists, texts, numbers) that may be kept.

    What stands under the name of a secret is removed whole; texts as in redact_text; objects become texts.
    """
    if name and not isinstance(value, bool | float | None) and _SECRET_NAME.search(name):
        return REMOVED
    if value is None or isinstance(value, bool | int | float):
        return value
    if not isinstance(value, Mapping | list | tuple | set | frozenset):
        return redact_text(str(value))
    if depth >= _DEEPEST:
        return REMOVED
    if isinstance(value, Mapping):
        return {str(key): redact(item, str(key), depth + 1) for key, item in value.items()}
    return [redact(item, "", depth + 1) for item in value]
