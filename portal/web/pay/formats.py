"""Money, times and numbers as a person reads them, in the page's language."""

from __future__ import annotations

import re
from copy import copy
from datetime import datetime
from decimal import Decimal
from functools import lru_cache

from babel import Locale
from babel.dates import format_datetime
from babel.numbers import NumberPattern

from portal.core.money import format_amount

_CODE_BEFORE_DIGITS = re.compile(r"(?<=[A-Z])(?=[0-9])")


@lru_cache(maxsize=64)
def _pattern(language: str, exponent: int) -> NumberPattern:
    pattern = copy(Locale.parse(language).currency_formats["standard"])
    pattern.frac_prec = (exponent, exponent)
    return pattern


@lru_cache(maxsize=4096)
def money_text(minor: int, exponent: int, currency: str, language: str) -> str:
    """1500.00 RUB as `RUB 1,500.00` or `1 500,00 ₽`: all decimals of the currency, no breaking blanks."""
    value = Decimal(format_amount(minor, exponent))
    text = _pattern(language, exponent).apply(
        value, Locale.parse(language), currency=currency, currency_digits=False
    )
    # As CLDR spaces it: a code of letters keeps apart from the digits, a sign does not.
    return _CODE_BEFORE_DIGITS.sub("\u00a0", text.replace(" ", "\u00a0"))


def moment_text(moment: datetime, language: str) -> str:
    """Day and time in UTC, for pages whose browser does not put it into its own zone."""
    return f"{format_datetime(moment, 'd MMM, HH:mm', locale=language)}\u00a0UTC"
