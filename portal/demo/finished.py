"""A few orders that are over, so that no page of the demo starts empty. Made by the verbs people use."""

from __future__ import annotations

from portal.core.actors import CUSTOMER, Actor, ActorKind
from portal.core.ids import parse_public_id
from portal.core.modes import Mode
from portal.merchants.queries import get_store
from portal.orders.models import Direction
from portal.orders.queries import find_order_by_external_id, get_order
from portal.orders.service import agree_to_amount, cancel_order, claim_payin, confirm_payin, create_order
from portal.orders.service.claim import PayerDetails
from portal.orders.service.create import Customer, NewOrder

# External id, amount in minor units, currency, method, bank, what was received (None: cancelled).
_ORDERS = (
    ("acme-0901", 149_000, "RUB", "card", None, 149_000),
    ("acme-0902", 99_000, "RUB", "sbp", "sber", 99_000),
    ("acme-0903", 745_000, "RUB", "card", None, 740_000),
    ("acme-0904", 2_900, "EUR", "sepa", None, 2_900),
    ("acme-0905", 890_000, "KZT", "kz_phone", "kaspi", 890_000),
    ("acme-0906", 64_000, "INR", "upi", None, 64_000),
    ("acme-0907", 318_000, "RUB", "card", None, None),
)


def finish_some_orders(store_public_id: str) -> None:
    """Create each order of the list that is not there yet and bring it to its end."""
    store_id = parse_public_id("st", store_public_id)
    assert store_id is not None
    store = get_store(store_id)
    for external_id, amount, currency, method, bank, received in _ORDERS:
        if find_order_by_external_id(store_id, Mode.LIVE, external_id) is not None:
            continue
        new = NewOrder(
            Direction.PAYIN, amount, currency, method=method, bank=bank, external_id=external_id,
            customer=Customer(id=f"customer-{external_id[-2:]}"), description="An earlier purchase",
        )  # fmt: skip
        created = create_order(store, Mode.LIVE, new, actor=Actor(ActorKind.MERCHANT, store_id))
        assert created.order_id is not None
        order = get_order(created.order_id, lock=True)
        if order.trader_id is None:
            continue
        if received is None:
            cancel_order(order, "changed their mind", actor=CUSTOMER)
            continue
        order = claim_payin(order, PayerDetails(name="Ivan P."), actor=CUSTOMER)
        told = confirm_payin(order, received, actor=Actor(ActorKind.TRADER, order.trader_id))
        if told.amount_reported_minor is not None:
            agree_to_amount(told, told.amount_reported_minor, actor=CUSTOMER)
