"""Amounts: integers of minor units inside, decimal strings at the edges. No float anywhere."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

from babel import Locale
from babel.numbers import NumberPattern, parse_pattern

MAX_MINOR = 10**15
_SHAPE = re.compile(r"(0|[1-9][0-9]{0,15})(?:\.([0-9]{1,18}))?", re.ASCII)
_GROUPS = re.compile(r"[0-9]{1,3}([ ,.'\u2019])[0-9]{3}(?:\1[0-9]{3})*", re.ASCII)
RATE_SCALE = 10**6
BPS = 10_000


class AmountError(ValueError):
    """The text is not an amount of this currency. `code` says why, the message says it in words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def parse_amount(text: object, exponent: int) -> int:
    """Minor units of a decimal string such as "1500.00"; never rounds.

    Raises AmountError: not_a_string, malformed (sign, exponent, blanks, NaN ...), too_many_decimals,
    not_positive, too_large.
    """
    if not isinstance(text, str):
        raise AmountError("not_a_string", 'Give the amount as a string, such as "1500.00".')
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise AmountError("malformed", 'Write digits with an optional decimal point, such as "1500.00".')
    fraction = match[2] or ""
    if len(fraction) > exponent:
        raise AmountError("too_many_decimals", f"This currency has {exponent} decimals.")
    scale: int = 10**exponent
    minor = int(match[1]) * scale + int(fraction.ljust(exponent, "0") or "0")
    if minor == 0:
        raise AmountError("not_positive", "The amount must be greater than zero.")
    if minor > MAX_MINOR:
        raise AmountError("too_large", "The amount is too large.")
    return minor


def parse_typed_amount(text: str, exponent: int, decimal_mark: str) -> int:
    """Minor units of an amount as people type it: "1 400,50", "1,400.50", "1400"; never rounds.

    Thousands may be set apart, by one kind of blank, comma, point or apostrophe. A comma before exactly three digits
    is the decimals' only where `decimal_mark` is one, as it is for readers of Russian. Raises AmountError as
    parse_amount does.
    """
    compact = " ".join(text.split())
    last = max(compact.rfind(","), compact.rfind("."))
    mark = compact[last] if last >= 0 else ""
    is_group = mark == "," != decimal_mark and len(compact) - last == 4 and "." not in compact
    if not mark or compact.count(mark) > 1 or is_group:
        return parse_amount(_without_groups(compact), exponent)
    return parse_amount(f"{_without_groups(compact[:last])}.{compact[last + 1 :]}", exponent)


def _without_groups(digits: str) -> str:
    return re.sub(r"\D", "", digits) if _GROUPS.fullmatch(digits) else digits


def decimal_mark(language: str) -> str:
    """What stands before the decimals of an amount that readers of this language type."""
    return "," if language == "ru" else "."


def format_amount(minor: int, exponent: int) -> str:
    """The decimal string of minor units, with all decimals of the currency: 150000, 2 -> "1500.00"."""
    sign = "-" if minor < 0 else ""
    if exponent == 0:
        return f"{minor}"
    digits = str(abs(minor)).rjust(exponent + 1, "0")
    return f"{sign}{digits[:-exponent]}.{digits[-exponent:]}"


def format_rate(micros: int) -> str:
    """A rate (quote units per one base unit, x 10^6) with six decimals: 95000000 -> "95.000000"."""
    return format_amount(micros, 6)


def grouped(value: Decimal, locale: str, least: int, most: int) -> str:
    """Grouped digits as who reads this language writes them, with `least` to `most` decimals; no spaces that break."""
    text: str = _pattern(least, most).apply(value, _locale(locale))
    return text.replace(" ", "\u00a0")


# What format_decimal() of Babel does anew for each number, which is half of its time.
@lru_cache(maxsize=256)
def _pattern(least: int, most: int) -> NumberPattern:
    return parse_pattern(f"#,##0.{'0' * least}{'#' * (most - least)}" if most else "#,##0")


@lru_cache(maxsize=16)
def _locale(name: str) -> Locale:
    return Locale.parse(name)


def read_in(locale: str, told: str) -> str:
    """An amount as events carry it, for somebody who reads this language: "1500.00 RUB" -> "1 500,00 RUB"."""
    digits, _space, currency = told.partition(" ")
    decimals = len(digits.partition(".")[2])
    return f"{grouped(Decimal(digits), locale, decimals, decimals)}\u00a0{currency}"


def divide_half_even(numerator: int, denominator: int) -> int:
    """numerator / denominator rounded half to even, exactly (integers, denominator > 0)."""
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient % 2):
        return quotient + 1
    return quotient


def settlement_minor(amount_minor: int, exponent: int, settlement_exponent: int, rate_micros: int) -> int:
    """Settlement minor units of a fiat amount at a rate (fiat units per settlement unit, x 10^6), half-even.

    Formula: amount / 10^exponent / (rate / 10^6) x 10^settlement_exponent.
    """
    return divide_half_even(amount_minor * RATE_SCALE * 10**settlement_exponent, rate_micros * 10**exponent)


def share_half_up(amount_minor: int, bps: int) -> int:
    """`bps` ten-thousandths of a non-negative amount, in minor units, rounded half up."""
    return (amount_minor * bps * 2 + BPS) // (2 * BPS)
