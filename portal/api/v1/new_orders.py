"""From a checked body to what the domain creates: amounts, numbers, return address."""

from __future__ import annotations

from portal.api.v1.orders_schemas import CreateOrder, RecipientIn
from portal.api.v1.return_urls import check_return_url
from portal.core.errors import ValidationFailed
from portal.core.money import AmountError, parse_amount
from portal.merchants.queries import StoreTerms
from portal.orders.models import Direction
from portal.orders.service.create import OF_RECIPIENT, Customer, NewOrder, Recipient
from portal.reference.queries import CurrencyInfo, get_method
from portal.reference.requisite_numbers import normalise
from portal.reference.ways import active_currency, usable_terms

_NOBODY = Customer()


def new_order(asked: CreateOrder, store: StoreTerms) -> NewOrder:
    """The order that is asked for. Raises ValidationFailed (422) naming the field."""
    currency = active_currency(asked.currency)
    amount_minor = amount_of(asked.amount, currency)
    direction = Direction(asked.direction)
    method, bank, recipient = _whereto(asked, direction, currency)
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


def amount_of(text: str, currency: CurrencyInfo) -> int:
    """Minor units of the currency. Raises ValidationFailed with the code of the AmountError."""
    try:
        return parse_amount(text, currency.exponent)
    except AmountError as error:
        raise ValidationFailed.of("amount", error.code, str(error)) from None


def _whereto(
    asked: CreateOrder, direction: Direction, currency: CurrencyInfo
) -> tuple[str | None, str | None, Recipient | None]:
    """Method, bank and recipient: a payin names the first two, a payout all of them in `recipient`."""
    recipient = asked.recipient
    if direction is Direction.PAYIN:
        if recipient is not None:
            raise ValidationFailed.of("recipient", "not_allowed", "A payin has no recipient.")
        return asked.method, asked.bank, None
    if recipient is None:
        raise ValidationFailed.of("recipient", "required", "A payout needs a recipient.")
    _check_same("method", asked.method, recipient.method)
    _check_same("bank", asked.bank, recipient.bank)
    return recipient.method, recipient.bank, _recipient(recipient, currency)


def _check_same(field: str, outer: str | None, inner: str | None) -> None:
    if outer is not None and outer != inner:
        raise ValidationFailed.of(field, "not_allowed", f"For a payout, name the {field} in the recipient.")


def _recipient(asked: RecipientIn, currency: CurrencyInfo) -> Recipient:
    usable_terms(asked.method, currency.code, within=OF_RECIPIENT)
    kind = get_method(asked.method).requisite_kind
    return Recipient(normalise(kind, asked.number, currency.code, field="recipient.number"), asked.holder)
