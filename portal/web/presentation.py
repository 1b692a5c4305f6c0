"""Money, moments and names as people read them; templates reach these through components only."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from babel.dates import format_datetime, format_time
from babel.numbers import format_decimal
from flask import Flask

from portal.core.ids import public_id
from portal.core.money import format_amount
from portal.reference.queries import find_bank, find_method, get_currency
from portal.web.languages import current_language, current_timezone


def amount_text(minor: int, currency: str, *, least_decimals: int | None = None) -> str:
    """Grouped digits in the page's language with the currency's decimals: 150000 RUB -> "1,500.00".

    `least_decimals` drops zeros beyond it (12.400000 -> "12.40"); no digit that says something is dropped.
    """
    exponent = get_currency(currency).exponent
    least = exponent if least_decimals is None else min(least_decimals, exponent)
    pattern = f"#,##0.{'0' * least}{'#' * (exponent - least)}" if exponent else "#,##0"
    value = Decimal(format_amount(minor, exponent))
    return format_decimal(value, pattern, locale=current_language()).replace(" ", "\u00a0")


def plain_amount(minor: int, currency: str) -> str:
    """The digits alone, as forms and machines take them: "1500.00"."""
    return format_amount(minor, get_currency(currency).exponent)


def moment_text(moment: datetime) -> str:
    """Day and time in the viewer's zone."""
    return format_datetime(moment, "d MMM, HH:mm", tzinfo=current_timezone(), locale=current_language())


def time_text(moment: datetime) -> str:
    """The time of day, with seconds, in the viewer's zone."""
    return format_time(moment, "HH:mm:ss", tzinfo=current_timezone(), locale=current_language())


def utc_text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def method_name(code: str | None) -> str:
    found = find_method(code) if code else None
    return found.name(current_language()) if found else code or ""


def bank_name(code: str | None) -> str:
    found = find_bank(code) if code else None
    return found.name(current_language()) if found else code or ""


def digit_groups(number: str) -> list[str]:
    """A card, account or phone number in groups that can be read and compared."""
    compact = "".join(number.split())
    if "@" in compact:
        return [compact]
    if compact.startswith("+"):
        return [compact[:2], *(compact[start : start + 3] for start in range(2, len(compact), 3))]
    return [compact[start : start + 4] for start in range(0, len(compact), 4)]


def register(app: Flask) -> None:
    app.jinja_env.filters.update(
        amount_text=amount_text,
        plain_amount=plain_amount,
        moment_text=moment_text,
        time_text=time_text,
        utc_text=utc_text,
        method_name=method_name,
        bank_name=bank_name,
        digit_groups=digit_groups,
        public_id=lambda value, prefix: public_id(prefix, value),
    )
