"""A small world in which every kind of thing has happened: what the invariants are tried on."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta

from portal.audit.sealing import seal_waiting
from portal.core.actors import CUSTOMER
from portal.core.db import db, hot, transaction
from portal.core.modes import Mode
from portal.disputes.models import DisputeOutcome, DisputeReason
from portal.disputes.service import open_dispute, resolve_dispute
from portal.events.relay import relay_events
from portal.orders.queries import get_order
from portal.orders.record import OrderRecord
from portal.orders.service import (
    accept_payout,
    act_on_due_orders,
    agree_to_amount,
    cancel_order,
    claim_payin,
    confirm_payin,
    decline_payin,
)
from portal.traders.models import Trader
from portal.webhooks.fanout import create_deliveries
from portal.webhooks.leases import claim_deliveries
from portal.webhooks.models import DeliveryState
from portal.webhooks.outcomes import Outcome, record_outcomes
from portal.webhooks.schedule import delay_after
from portal.webhooks.service import EndpointUrl, set_endpoint
from tests.scene import Scene, as_trader, build_scene


def locked(order_id: uuid.UUID, verb: Callable[[OrderRecord], object]) -> None:
    """One verb on one order, committed."""
    with transaction():
        verb(get_order(order_id, lock=True))


def all_that_happens() -> Scene:
    """Orders in every status, told to an endpoint that failed once; committed, sealed, at rest."""
    with transaction():
        scene = build_scene()
        set_endpoint(scene.store_id, Mode.LIVE, EndpointUrl("http://127.0.0.1:9/hook"))
    first, second = scene.trader(), scene.trader()
    scene.requisite(first, day_amount_limit=100_000_000_00, window_s=3600, window_amount_limit=100_000_000_00)
    scene.requisite(second)
    scene.fund_store()
    _payins(scene)
    _payouts(scene, first.id)
    _tell()
    with transaction():
        seal_waiting()
    return scene


def _payins(scene: Scene) -> None:
    scene.payin(1000_00, external_id="first")
    by_trader = [scene.payin(amount) for amount in (1100_00, 1200_00)]
    for order, received in zip(by_trader, (None, 1150_00), strict=True):
        trader = get_order(order.id)
        locked(order.id, lambda found: claim_payin(found, None, actor=CUSTOMER))
        actor = as_trader(_trader_of(trader))
        locked(order.id, lambda found, sum_=received, who=actor: confirm_payin(found, sum_, actor=who))
        if received is not None:
            locked(order.id, lambda found, sum_=received: agree_to_amount(found, sum_, actor=CUSTOMER))
    locked(scene.payin(1300_00).id, lambda found: confirm_payin(found, None, actor=scene.support))
    locked(scene.payin(1400_00).id, lambda found: cancel_order(found, None, actor=scene.merchant))
    locked(scene.payin(1500_00).id, lambda found: decline_payin(found, "busy", actor=scene.support))
    locked(scene.payin(1600_00).id, _dispute)
    settled = scene.payin(1700_00).id
    locked(settled, _dispute)
    locked(
        settled,
        lambda found: resolve_dispute(found, DisputeOutcome.CANCELLED, None, "unpaid", actor=scene.support),
    )
    late = scene.payin(1800_00).id
    with transaction():
        hot(
            "UPDATE orders SET due_at = now(), pay_by = now() WHERE id = %(id)s",
            {"id": late},
        )
    assert act_on_due_orders() == 1


def _trader_of(order: OrderRecord) -> Trader:
    return db.session.get_one(Trader, order.trader_id)


def _dispute(order: OrderRecord) -> None:
    open_dispute(order, DisputeReason.OTHER, None, None, actor=CUSTOMER)


def _payouts(scene: Scene, trader_id: uuid.UUID) -> None:
    scene.payout(1000_00)
    done = scene.payout(1100_00).id
    with transaction():
        accept_payout(trader_id, done, actor=scene.support)
    locked(done, _dispute_of(scene))
    locked(
        done,
        lambda found: resolve_dispute(found, DisputeOutcome.COMPLETED, None, "proven", actor=scene.support),
    )
    locked(scene.payout(1200_00).id, lambda found: cancel_order(found, None, actor=scene.merchant))


def _dispute_of(scene: Scene) -> Callable[[OrderRecord], object]:
    return lambda found: open_dispute(found, DisputeReason.OTHER, None, None, actor=scene.merchant)


def _tell() -> None:
    """Every event to the endpoint; the first delivery fails once, and only once."""
    while relay_events(create_deliveries):
        pass
    for works in (False, True):
        with transaction():
            limit = 100 if works else 1
            claims = claim_deliveries(limit=limit, per_endpoint=limit, failing=works, busy={})
            outcomes = [
                Outcome(claim, DeliveryState.DELIVERED, None, 5, 200)
                if works
                else Outcome(claim, DeliveryState.PENDING, delay_after(1), 5, 500)
                for claim in claims
            ]
            record_outcomes(outcomes)
        with transaction():
            hot(
                "UPDATE webhook_delivery SET next_at = clock_timestamp() - %(s)s", {"s": timedelta(seconds=1)}
            )
