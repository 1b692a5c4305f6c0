"""A requisite's state, its limits, and what is wrong with what was typed, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from flask_babel import gettext as _

from portal.core.errors import FieldProblem
from portal.traders.models import Requisite
from portal.web.ui.formats import amount_text, number_text


@dataclass(frozen=True, slots=True)
class Bar:
    """One limit: what it counts, how much of it is used and what there is, in numbers and in words."""

    label: str
    used: int
    limit: int
    words: str


def bars_of(requisite: Requisite, today: datetime) -> Iterator[Bar]:
    """Every limit that the requisite has. `today` is now in the zone in which a day of limits begins."""
    is_today = requisite.day >= today.date()
    amounts = (
        (_("Amount today"), requisite.day_amount if is_today else 0, requisite.day_amount_limit),
        (_("Amount in %(hours)s h", hours=number_text((requisite.window_s or 0) / 3600)),
         requisite.window_amount, requisite.window_amount_limit),
        (_("Amount in all"), requisite.total_amount, requisite.total_amount_limit),
    )  # fmt: skip
    counts = (
        (_("Open orders"), requisite.open_orders, requisite.max_open_orders),
        (_("Orders today"), requisite.day_count if is_today else 0, requisite.day_count_limit),
    )
    for label, used, limit in counts:
        if limit is not None:
            yield _bar(label, used, limit, number_text(used), number_text(limit))
    for label, used, limit in amounts:
        if limit is not None:
            used_text, limit_text = (amount_text(minor, requisite.currency) for minor in (used, limit))
            yield _bar(label, used, limit, used_text, limit_text, requisite.currency)


def _bar(label: str, used: int, limit: int, used_text: str, limit_text: str, unit: str = "") -> Bar:
    words = _("%(used)s of %(limit)s", used=used_text, limit=limit_text)
    return Bar(label, min(used, limit), limit, f"{words} {unit}".strip())


def problem_words(problem: FieldProblem) -> str:
    """What is wrong with a field of the trader's form."""
    if problem.field == "number":
        return _number_words(problem.code)
    known = {
        "holder": _("Give the name that the bank shows."),
        "bank": _("There is no such bank for this method."),
        "method": _("This method does not exist in this currency."),
        "min_amount": _("The least amount is more than the greatest."),
        "max_open_orders": _("Give a number from 1 to 1000."),
        "window_s": _("A time window needs both its hours and its amount."),
        "day_amount_limit": _("A limit is more than zero."),
    }
    return known.get(problem.field, _("This can't be used. Type something else."))


def _number_words(code: str) -> str:
    known = {
        "too_long": _("This is too long."),
        "wrong_length": _("The number has too few or too many digits."),
        "wrong_checksum": _("Look for a mistyped digit: the number does not add up."),
        "wrong_country": _("A number of this country can't receive this currency."),
    }
    return known.get(code, _("This is not a number of this method."))
