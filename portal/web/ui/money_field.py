"""Money that people type into a form."""

from __future__ import annotations

from typing import Any

from flask_babel import get_locale
from flask_babel import lazy_gettext as _l
from wtforms import StringField
from wtforms.validators import Length, StopValidation

from portal.core.money import AmountError, decimal_mark, parse_typed_amount
from portal.reference.queries import get_currency

_LONGEST = 40
_PROBLEMS = {
    "malformed": _l("Write the amount in digits, such as 1500.00."),
    "too_many_decimals": _l("This currency has fewer decimals. Look at the amount again."),
    "not_positive": _l("The amount must be greater than zero."),
    "too_large": _l("This amount is too large. Look at it again."),
}


def read_typed_amount(text: str, currency: str) -> int:
    """Minor units of what a reader of this page typed. Raises AmountError."""
    return parse_typed_amount(text, get_currency(currency).exponent, decimal_mark(get_locale().language))


def problem_of(error: AmountError) -> Any:
    """What is wrong with a typed amount, in the reader's words."""
    return _PROBLEMS[error.code]


class MoneyField(StringField):  # type: ignore[misc]
    """An amount in the currency of its form (`form.currency`).

    `minor` is what was typed, in minor units; None for nothing and for what is no amount. Read it after validate().
    """

    minor: int | None = None

    def __init__(self, label: Any = None, validators: Any = (), **options: Any) -> None:
        bounded = Length(max=_LONGEST, message=_l("This is too long."))
        super().__init__(label, [*validators, bounded], **options)

    def pre_validate(self, form: Any) -> None:
        self.minor = None
        typed = (self.data or "").strip()
        if not typed or len(typed) > _LONGEST:
            return
        try:
            self.minor = read_typed_amount(typed, form.currency)
        except AmountError as error:
            raise StopValidation(problem_of(error)) from None
