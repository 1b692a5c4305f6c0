"""How small and how large an order may be: by its method, or while that is open by all methods of the currency."""

from __future__ import annotations

from dataclasses import dataclass

from portal.core.errors import FieldProblem, ValidationFailed
from portal.core.money import format_amount
from portal.reference.queries import get_currency, list_methods, method_terms


@dataclass(frozen=True, slots=True)
class Bounds:
    """The smallest and the largest amount, in minor units of the currency."""

    least_minor: int
    most_minor: int

    def hold(self, amount_minor: int) -> bool:
        return self.least_minor <= amount_minor <= self.most_minor


class AmountOutOfBounds(ValidationFailed):
    """The way to pay is right, the amount is not for it."""

    def __init__(self, amount_minor: int, currency: str, bounds: Bounds) -> None:
        is_small = amount_minor < bounds.least_minor
        code, which = ("too_small", "least") if is_small else ("too_large", "largest")
        limit = format_amount(
            bounds.least_minor if is_small else bounds.most_minor, get_currency(currency).exponent
        )
        message = f"The {which} amount is {limit} {currency}."
        super().__init__(message, errors=[FieldProblem("amount", code, message)])


def bounds_of(currency: str, method: str | None) -> Bounds | None:
    """The bounds of an order; None when nothing can be paid that way now."""
    codes = [known.code for known in list_methods(currency)] if method is None else [method]
    terms = [found for code in codes if (found := method_terms(code, currency)) is not None]
    if not terms:
        return None
    return Bounds(min(one.min_minor for one in terms), max(one.max_minor for one in terms))


def check_amount(amount_minor: int, currency: str, method: str | None) -> None:
    """Raises AmountOutOfBounds (422), and ValidationFailed where nothing can be paid that way now."""
    bounds = bounds_of(currency, method)
    if bounds is None:
        field = "currency" if method is None else "method"
        raise ValidationFailed.of(field, "unknown", f"There is no such way to pay in {currency}.")
    if not bounds.hold(amount_minor):
        raise AmountOutOfBounds(amount_minor, currency, bounds)
