"""From a checked body to what the domain creates: amounts, methods, banks, numbers, return address."""

from __future__ import annotations

from portal.api.v1.orders_schemas import CreateOrder, RecipientIn
from portal.api.v1.return_urls import check_return_url
from portal.core.errors import ValidationFailed
from portal.core.money import AmountError, parse_amount
from portal.merchants.queries import StoreTerms
from portal.orders.models import Direction
from portal.orders.service.create import Customer, NewOrder, Recipient
from portal.reference.queries import CurrencyInfo, find_currency, get_method, list_banks, method_terms
from portal.reference.requisite_numbers import normalise

_NOBODY = Customer()


def new_order(asked: CreateOrder, store: StoreTerms) -> NewOrder:
    """The order that is asked for. Raises ValidationFailed (422) naming the field."""
    currency = active_currency(asked.currency)
    amount_minor = amount_of(asked.amount, currency)
    direction = Direction(asked.direction)
    method, bank, recipient = _whereto(asked, direction, currency)
    if method is not None:
        check_method(method, bank, currency, _at(direction))
    customer = asked.customer
    return NewOrder(
        direction=direction,
        amount_minor=amount_minor,
        currency=currency.code,
        method=method,
        bank=bank,
        external_id=asked.external_id,
        customer=_NOBODY
        if customer is None
        else Customer(customer.id, customer.name, customer.email, customer.ip),
        recipient=recipient,
        return_url=None if asked.return_url is None else check_return_url(asked.return_url, store),
        description=asked.description,
        locale=asked.locale,
        metadata=asked.metadata,
    )


def active_currency(code: str) -> CurrencyInfo:
    """A currency that orders can be made in. Raises ValidationFailed."""
    currency = find_currency(code)
    if currency is None or not currency.is_active or currency.is_settlement:
        raise ValidationFailed.of("currency", "unknown", "Orders can't be made in this currency.")
    return currency


def amount_of(text: str, currency: CurrencyInfo) -> int:
    """Minor units of the currency. Raises ValidationFailed with the code of the AmountError."""
    try:
        return parse_amount(text, currency.exponent)
    except AmountError as error:
        raise ValidationFailed.of("amount", error.code, str(error)) from None


def check_method(method: str, bank: str | None, currency: CurrencyInfo, prefix: str = "") -> None:
    """The method works in this currency, through this bank. Raises ValidationFailed."""
    terms = method_terms(method, currency.code)
    if terms is None:
        raise ValidationFailed.of(
            f"{prefix}method", "unknown", f"There is no such method for {currency.code}."
        )
    if bank is None and terms.bank_required:
        raise ValidationFailed.of(f"{prefix}bank", "required", "This method needs a bank.")
    if bank is not None and all(known.code != bank for known in list_banks(method, currency.code)):
        raise ValidationFailed.of(f"{prefix}bank", "unknown", "This method does not work through this bank.")


def _at(direction: Direction) -> str:
    return "recipient." if direction is Direction.PAYOUT else ""


def _whereto(
    asked: CreateOrder, direction: Direction, currency: CurrencyInfo
) -> tuple[str | None, str | None, Recipient | None]:
    """Method, bank and recipient: a payin names the first two, a payout all of them in `recipient`."""
    recipient = asked.recipient
    if direction is Direction.PAYIN:
        if recipient is not None:
            raise ValidationFailed.of("recipient", "not_allowed", "A payin has no recipient.")
        if asked.bank is not None and asked.method is None:
            raise ValidationFailed.of("method", "required", "Name the method to which the bank belongs.")
        return asked.method, asked.bank, None
    if recipient is None:
        raise ValidationFailed.of("recipient", "required", "A payout needs a recipient.")
    _check_same("method", asked.method, recipient.method)
    _check_same("bank", asked.bank, recipient.bank)
    if method_terms(recipient.method, currency.code) is None:
        message = f"There is no such method for {currency.code}."
        raise ValidationFailed.of("recipient.method", "unknown", message)
    return recipient.method, recipient.bank, _recipient(recipient, currency)


def _check_same(field: str, outer: str | None, inner: str | None) -> None:
    if outer is not None and outer != inner:
        raise ValidationFailed.of(field, "not_allowed", f"For a payout, name the {field} in the recipient.")


def _recipient(asked: RecipientIn, currency: CurrencyInfo) -> Recipient:
    kind = get_method(asked.method).requisite_kind
    return Recipient(normalise(kind, asked.number, currency.code, field="recipient.number"), asked.holder)
