"""Money, moments and names as people read them; templates reach these through components only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Decimal

from babel.dates import format_date, format_datetime, format_time
from babel.numbers import format_decimal, format_percent
from flask import Flask, request
from flask_babel import gettext as _

from portal.core.ids import public_id
from portal.core.money import decimal_mark, format_amount, format_rate, grouped, read_in
from portal.core.text_rules import LONGEST_REASON
from portal.orders.figures.open_orders import COUNTED_TO
from portal.reference.queries import find_bank, find_method, get_currency
from portal.web.shell.languages import current_language, current_timezone

_AT_A_GLANCE = 2


def amount_text(minor: int, currency: str, *, least_decimals: int | None = None) -> str:
    """Grouped digits in the page's language with the currency's decimals: 150000 RUB -> "1,500.00".

    `least_decimals` drops zeros beyond it (12.400000 -> "12.40"); no digit that says something is dropped.
    """
    exponent = get_currency(currency).exponent
    least = exponent if least_decimals is None else min(least_decimals, exponent)
    return grouped(Decimal(format_amount(minor, exponent)), current_language(), least, exponent)


def told_amount_text(told: str) -> str:
    """An amount as events carry it, in the page's language: "1500.00 RUB" -> "1,500.00 RUB"."""
    return read_in(current_language(), told)


def short_amount_text(minor: int, currency: str) -> str:
    """As amount_text, cut to two decimals towards zero: never more than there is."""
    exponent = get_currency(currency).exponent
    if exponent <= _AT_A_GLANCE:
        return amount_text(minor, currency)
    value = Decimal(format_amount(minor, exponent)).quantize(Decimal(1).scaleb(-_AT_A_GLANCE), ROUND_DOWN)
    return grouped(value, current_language(), _AT_A_GLANCE, _AT_A_GLANCE)


def rate_text(micros: int) -> str:
    """A rate in millionths as people read it, with two decimals at least: 95000000 -> "95.00"."""
    return grouped(Decimal(format_rate(micros)), current_language(), 2, 6)


def plain_amount(minor: int, currency: str) -> str:
    """The digits alone, as forms and machines take them: "1500.00"."""
    return format_amount(minor, get_currency(currency).exponent)


def typed_amount(minor: int, currency: str) -> str:
    """The digits as people of the page's language type them, ungrouped: "1500,00"."""
    return plain_amount(minor, currency).replace(".", decimal_mark(current_language()))


def moment_text(moment: datetime) -> str:
    """Day and time in the viewer's zone; with the year, where it is not this one."""
    zone = current_timezone()
    is_of_this_year = moment.astimezone(zone).year == datetime.now(zone).year
    pattern = "d MMM, HH:mm" if is_of_this_year else "d MMM y, HH:mm"
    return format_datetime(moment, pattern, tzinfo=zone, locale=current_language())


def time_text(moment: datetime) -> str:
    """The time of day, with seconds, in the viewer's zone."""
    return format_time(moment, "HH:mm:ss", tzinfo=current_timezone(), locale=current_language())


def utc_text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def day_text(moment: datetime) -> str:
    return format_date(moment.astimezone(current_timezone()), "d MMM y", locale=current_language())


_NEAR = timedelta(hours=12)


def deadline_text(moment: datetime) -> str:
    """Until when: the time of day alone, today and in the next hours, also beyond midnight.

    A card in the queue must not grow by a line, and move what is below it, because its minutes end tomorrow.
    """
    zone = current_timezone()
    now = datetime.now(zone)
    is_today = moment.astimezone(zone).date() == now.date()
    is_near = timedelta(0) <= moment - now < _NEAR
    return time_text(moment) if is_today or is_near else moment_text(moment)


def number_text(number: float) -> str:
    """Grouped digits in the page's language."""
    return format_decimal(number, locale=current_language()).replace(" ", "\u00a0")


def counted_text(number: int, counted_to: int = COUNTED_TO) -> str:
    """A number that was counted up to `counted_to` + 1: from there on it is "more"."""
    return f"{number_text(counted_to)}+" if number > counted_to else number_text(number)


def percent_text(share: float, decimals: int = 1) -> str:
    """0.934 -> "93.4%"."""
    pattern = f"#,##0.{'#' * decimals}%" if decimals else "#,##0%"
    return format_percent(share, pattern, locale=current_language()).replace(" ", "\u00a0")


def duration_text(seconds: float) -> str:
    """The two largest parts of a time that passed: "1 h 12 min", "48 s"."""
    left = round(seconds)
    parts: list[str] = []
    for size, words in ((86400, _("%(number)d d")), (3600, _("%(number)d h")), (60, _("%(number)d min"))):
        if left >= size or parts:
            parts.append(words % {"number": left // size})
            left %= size
        if len(parts) == 2:
            break
    if not parts or (len(parts) == 1 and seconds < 3600):
        parts.append(_("%(number)d s") % {"number": left})
    return "\u00a0".join(part.replace(" ", "\u00a0") for part in parts)


def initials(name: str) -> str:
    """One or two letters for a person without a picture."""
    words = [word for word in name.replace(",", " ").split() if word[0].isalnum()]
    return "".join(word[0] for word in (words[:1] + words[-1:] if len(words) > 1 else words)).upper() or "?"


def here() -> str:
    """This page's own address, for a form that leads back to it."""
    return request.full_path.removesuffix("?") if request.method == "GET" else ""


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


def unbroken(text: str) -> str:
    """The same words, never parted at the end of a line."""
    return text.replace(" ", "\u00a0")


def register(app: Flask) -> None:
    app.jinja_env.filters.update(
        amount_text=amount_text,
        told_amount_text=told_amount_text,
        short_amount_text=short_amount_text,
        plain_amount=plain_amount,
        moment_text=moment_text,
        time_text=time_text,
        deadline_text=deadline_text,
        utc_text=utc_text,
        day_text=day_text,
        number_text=number_text,
        counted_text=counted_text,
        percent_text=percent_text,
        duration_text=duration_text,
        initials=initials,
        method_name=method_name,
        bank_name=bank_name,
        digit_groups=digit_groups,
        unbroken=unbroken,
        public_id=lambda value, prefix: public_id(prefix, value),
    )
    app.jinja_env.globals.update(here=here, longest_reason=LONGEST_REASON)
