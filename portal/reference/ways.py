"""The ways to pay: which currency, method and bank an order can be made with now."""

from __future__ import annotations

from portal.core.errors import ValidationFailed
from portal.reference.queries import CurrencyInfo, MethodTerms, find_currency, list_banks, method_terms


def active_currency(code: str) -> CurrencyInfo:
    """A currency that orders can be made in. Raises ValidationFailed (currency)."""
    currency = find_currency(code)
    if currency is None or not currency.is_active or currency.is_settlement:
        raise ValidationFailed.of("currency", "unknown", "Orders can't be made in this currency.")
    return currency


def usable_terms(method: str, currency: str, *, within: str = "") -> MethodTerms:
    """Bounds of an order by a method that can be used in the currency now. Raises ValidationFailed.

    `within` stands before the name of the field: a payout's method is its recipient's (`recipient.`).
    """
    terms = method_terms(method, currency)
    if terms is None:
        active_currency(currency)
        raise ValidationFailed.of(f"{within}method", "unknown", f"There is no such method for {currency}.")
    return terms


def check_method(method: str | None, bank: str | None, currency: str, *, within: str = "") -> None:
    """The method works in this currency now, through this bank, or without one where none is needed.

    A method that is left open has no bank. Asks only what is kept in memory. Raises ValidationFailed (method, bank;
    `within` as above).
    """
    if method is None:
        if bank is not None:
            raise ValidationFailed.of("method", "required", "Name the method to which the bank belongs.")
        return
    terms = usable_terms(method, currency, within=within)
    if bank is None:
        if terms.bank_required:
            raise ValidationFailed.of(f"{within}bank", "required", "This method needs a bank.")
    elif all(known.code != bank for known in list_banks(method, currency)):
        raise ValidationFailed.of(f"{within}bank", "unknown", "This method does not work through this bank.")
