"""The kind "completion": a payin completed with more than its amount and its store's tolerance.

Nobody of the staff does that alone: the difference is taken from the trader's deposit.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import Field

from portal.approvals.kinds import Amount, Approved, Kind, Line, Payload, Preview, Subject
from portal.core.actors import Actor
from portal.core.errors import Forbidden, InvalidTransition, NotFound
from portal.core.ids import public_id
from portal.core.modes import Mode
from portal.core.money import MAX_MINOR, format_amount
from portal.core.permissions import Permission
from portal.ledger.models import AccountKind, OwnerKind
from portal.ledger.queries import balance_minor
from portal.orders.parties import is_party
from portal.orders.pricing import price
from portal.orders.queries import get_order
from portal.orders.record import OrderRecord
from portal.orders.service.amounts import most_alone_minor, takes_two
from portal.orders.service.confirm import confirm_payin, find_completion
from portal.reference.queries import get_currency


class CompletionPayload(Payload):
    """`received_minor` is in minor units of the order's currency."""

    order_id: uuid.UUID
    received_minor: Annotated[int, Field(gt=0, le=MAX_MINOR)]


def subject_of(payload: CompletionPayload) -> Subject:
    return Subject("order", str(payload.order_id))


def version_of(payload: CompletionPayload, lock: bool) -> str:
    return str(get_order(payload.order_id, lock=lock).version)


def is_own(subject: Subject, user_id: uuid.UUID) -> bool:
    """Whether they are a party to the order. A request that names no order, past the house, is nobody's."""
    try:
        return is_party(get_order(uuid.UUID(subject.id)), user_id)
    except (ValueError, NotFound):
        return False


def is_above(payload: CompletionPayload) -> bool:
    """Whether it is more than one of the staff completes alone."""
    return takes_two(get_order(payload.order_id), payload.received_minor)


def preview_of(payload: CompletionPayload) -> Preview:
    """Everybody's part at the order's amount and with what was received. Raises ValidationFailed for an amount."""
    order = get_order(payload.order_id)
    alone = Amount(most_alone_minor(order), order.currency)
    return Preview((*_shares(order, payload.received_minor), *_deposit(order, payload.received_minor)), alone)


def _shares(order: OrderRecord, received_minor: int) -> list[Line]:
    asked, got = price(order), price(order, received_minor)

    def line(what: str, before: int, after: int) -> Line:
        return Line(what, Amount(before, order.settlement_currency), Amount(after, order.settlement_currency))

    return [
        Line("received", Amount(order.amount_minor, order.currency), Amount(received_minor, order.currency)),
        line("trader_pays", asked.settlement_minor, got.settlement_minor),
        line(
            "beyond_hold",
            max(asked.settlement_minor - order.hold_minor, 0),
            max(got.settlement_minor - order.hold_minor, 0),
        ),
        line(
            "store_gets",
            asked.settlement_minor - asked.store_fee_minor,
            got.settlement_minor - got.store_fee_minor,
        ),
        line("store_fee", asked.store_fee_minor, got.store_fee_minor),
        line("trader_commission", asked.trader_minor, got.trader_minor),
        line("lead_commission", asked.lead_minor, got.lead_minor),
        line("platform", asked.platform_minor, got.platform_minor),
    ]


def _deposit(order: OrderRecord, received_minor: int) -> list[Line]:
    """What the trader has on hold and free, now and afterwards; commissions come back to what is free."""
    if order.trader_id is None:
        return []
    got, currency = price(order, received_minor), order.settlement_currency
    whose = (OwnerKind.TRADER, order.trader_id)
    held, free = (
        balance_minor(*whose, kind, currency, Mode(order.mode))
        for kind in (AccountKind.HELD, AccountKind.AVAILABLE)
    )
    left = free + order.hold_minor - got.settlement_minor + got.trader_minor
    return [
        Line(
            "trader_held",
            Amount(held, currency),
            Amount(held - order.hold_minor, currency),
            of_the_moment=True,
        ),
        Line("trader_free", Amount(free, currency), Amount(left, currency), of_the_moment=True),
    ]


def told_of(payload: CompletionPayload) -> Mapping[str, str]:
    order = get_order(payload.order_id)
    amount = format_amount(payload.received_minor, get_currency(order.currency).exponent)
    return {"subject": public_id("ord", order.id), "amount": f"{amount} {order.currency}"}


def refuse_unless_staff(actor: Actor) -> None:
    """Raises Forbidden: a permission alone makes nobody the second person about a trader's deposit."""
    if not actor.is_staff:
        raise Forbidden("Two of the staff decide about that.")


def _check(payload: CompletionPayload, actor: Actor) -> None:
    refuse_unless_staff(actor)
    order = get_order(payload.order_id)
    if not order.is_payin:
        raise InvalidTransition("A payout is completed with its own amount.")
    find_completion(order, actor)
    price(order, payload.received_minor)


def _apply(payload: CompletionPayload, approved: Approved) -> None:
    order = get_order(payload.order_id, lock=True)
    confirm_payin(order, payload.received_minor, actor=approved.actor, reason=approved.reason, by_two=True)


def kind_of_completion(
    name: str,
    may_propose: Permission,
    check: Callable[[CompletionPayload, Actor], None],
    apply: Callable[[CompletionPayload, Approved], None],
) -> Kind[Any]:
    """The kind of one way to complete a payin; a disputed one is completed by deciding its case."""
    return Kind(
        name=name,
        payload=CompletionPayload,
        may_propose=may_propose,
        may_decide=Permission.COMPLETION_APPROVE,
        moves_money=True,
        subject=subject_of,
        version=version_of,
        preview=preview_of,
        check=check,
        apply=apply,
        told=told_of,
        needs_two=is_above,
        is_own=is_own,
    )


COMPLETION = kind_of_completion("completion", Permission.ORDER_COMPLETE, _check, _apply)
