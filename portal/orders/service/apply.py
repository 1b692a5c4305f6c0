"""Carrying out one transition: the order's row, its requisite's limits, the ledger, the timeline, the outbox.

One statement, in the one lock order: order (locked by the caller), its row of the exposure, requisite, accounts by id.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import orjson
import psycopg

from portal.audit.service import record_audit
from portal.core.actors import Actor, ActorKind
from portal.core.db import after_commit, hot
from portal.core.errors import InvalidTransition
from portal.core.ids import new_id
from portal.core.live import nudge
from portal.core.modes import Mode
from portal.core.text_rules import reason_of
from portal.ledger import entries
from portal.ledger.entries import Posting, Split
from portal.ledger.models import SubjectKind
from portal.ledger.service import POST_SQL, entry_params, post_entry, refusal_of
from portal.orders.accounts import accounts_of, store_accounts
from portal.orders.exposure.limits import lock_figures
from portal.orders.models import FINAL
from portal.orders.parties import refuse_own
from portal.orders.record import OrderRecord
from portal.orders.representation import event_data
from portal.orders.transitions import Limits, Money, Transition

# What a transition may change; everything else in the row is frozen.
_CHANGEABLE = (
    "status", "status_reason", "amount_received_minor", "amount_reported_minor", "settlement_minor", "fee_minor", "method", "bank",
    "requisite_id", "trader_id", "requisite_bank", "requisite_masked", "requisite_holder", "round",
    "hold_minor", "assigned_at", "counted_day", "window_leaves_at", "match_by", "pay_by", "confirm_by",
    "due_at", "retry_at", "status_before_dispute", "claimed_at", "ended_at", "payer_encrypted",
)  # fmt: skip
_SET = ", ".join(f"{name} = %({name})s" for name in _CHANGEABLE)

_APPLY = f"""
WITH moved AS (
  UPDATE orders SET {_SET}, match_trace = coalesce(%(match_trace)s::jsonb, match_trace),
         version = version + 1, updated_at = %(updated_at)s
   WHERE id = %(id)s AND version = %(version)s AND status = %(from_status)s
  RETURNING id
), limits AS (
  UPDATE requisite r SET
         open_orders = r.open_orders + %(d_open)s,
         day_amount = CASE WHEN r.day = %(limits_day)s::date THEN greatest(r.day_amount + %(d_amount)s, 0) ELSE r.day_amount END,
         day_count = CASE WHEN r.day = %(limits_day)s::date THEN greatest(r.day_count + %(d_count)s, 0) ELSE r.day_count END,
         window_amount = greatest(r.window_amount + %(d_window)s, 0),
         total_amount = greatest(r.total_amount + %(d_amount)s, 0)
    FROM moved WHERE r.id = %(limits_requisite)s::uuid
  RETURNING r.id
), step AS (
  INSERT INTO order_event (order_id, event, from_status, to_status, actor_kind, actor_id, reason)
  SELECT id, %(step)s, %(from_status)s, %(status)s, %(actor_kind)s, %(actor_id)s::uuid, %(reason)s::text
    FROM moved
), told AS (
  INSERT INTO event (id, type, mode, store_id, trader_id, subject_kind, subject_id, version, sequence, requisite_id, data)
  SELECT t.id, t.type, %(mode)s, %(store_id)s::uuid, %(event_trader)s::uuid, 'order', moved.id,
         %(version)s + 1, t.place - 1, %(event_requisite)s::uuid, %(event_data)s::jsonb
    FROM moved, unnest(%(event_ids)s::uuid[], %(event_types)s::text[]) WITH ORDINALITY AS t (id, type, place)
)
SELECT CASE WHEN %(entry_kind)s::text IS NOT NULL THEN {POST_SQL} END AS entry_id
  FROM moved LEFT JOIN limits ON true
"""  # noqa: S608 - built once from constants


def apply(
    order: OrderRecord,
    row: Transition,
    *,
    actor: Actor,
    reason: str | None = None,
    split: Split | None = None,
    extra_events: tuple[str, ...] = (),
    match_trace: dict[str, Any] | None = None,
    said: str | None = None,
    before: OrderRecord,
) -> OrderRecord:
    """Write `order` (already changed in memory) as the result of `row`, compared with `before`.

    `order` must have its new deadlines; status, version, hold and end are set here. What staff do, and merchants by
    hand, is audited: with what they `said` where `reason` is only a code. The caller holds the order's row lock. Raises
    OwnOrder for staff who are a party to it, InsufficientFunds, ValidationFailed (reason), and InvalidTransition when
    the row is not as `before` says.
    """
    refuse_own(before, actor)
    reason = None if reason is None else reason_of(reason)
    order.status = row.target.value
    order.status_reason = reason
    order.version, order.updated_at = before.version + 1, order.read_at
    if order.status in FINAL:
        order.due_at = order.retry_at = None
        order.amount_reported_minor = None
    if order.is_payin and not before.hold_minor and row.money in {Money.SETTLE, Money.HOLD_AND_SETTLE}:
        lock_figures(order)  # the requisite and, for the hold, accounts are locked before the statement below
    limits = _limits(order, before, row)
    postings = _postings(order, before, row, split)
    for early in postings[:-1]:
        post_entry(early, Mode(order.mode), SubjectKind.ORDER, order.id, actor=actor, reason=reason)
    params = (
        {name: getattr(order, name) for name in _CHANGEABLE}
        | limits
        | _events(order, row, extra_events)
        | entry_params(postings[-1] if postings else None, SubjectKind.ORDER, order.id, reason)
        | {
            "id": order.id, "updated_at": order.updated_at, "version": before.version, "from_status": before.status, "mode": order.mode,
            "store_id": order.store_id, "step": row.step.value, "reason": reason,
            "actor_kind": actor.kind.value, "actor_id": actor.id,
            "match_trace": orjson.dumps(match_trace).decode() if match_trace is not None else None,
        }
    )  # fmt: skip
    try:
        rows = hot(_APPLY, params)
    except psycopg.errors.CheckViolation as error:
        raise refusal_of(error) from error
    if not rows:
        raise InvalidTransition()
    if actor.is_staff or (actor.kind is ActorKind.MERCHANT and actor.is_by_hand):
        _audit(order, row, actor, said or reason, before)
    _nudge(order, before)
    return order


def _audit(
    order: OrderRecord, row: Transition, actor: Actor, reason: str | None, before: OrderRecord
) -> None:
    """What programs, traders and customers do to their own is told by the timeline."""
    was = {"status": before.status, "amount_received_minor": before.amount_received_minor}
    became = {"status": order.status, "amount_received_minor": order.amount_received_minor}
    action, subject = f"order.{row.step.value}", ("order", order.id)
    record_audit(action, actor=actor, subject=subject, before=was, after=became, reason=reason)


def _nudge(order: OrderRecord, before: OrderRecord) -> None:
    """Tell open pages after the commit; a lost hint costs one polling interval."""
    channels = {f"order:{order.id}"} | {
        f"trader:{trader_id}" for trader_id in (order.trader_id, before.trader_id) if trader_id
    }
    if not order.is_payin:
        channels.add(f"payouts:{order.mode}")
    after_commit(lambda: nudge(*channels))


def _postings(order: OrderRecord, before: OrderRecord, row: Transition, split: Split | None) -> list[Posting]:
    """The entries of this transition, the last one to be posted with the order itself."""
    if order.is_payin:
        return _payin_postings(order, before, row, split)
    if row.money is Money.RELEASE:
        available, held = store_accounts(order)
        order.hold_minor = 0
        return [entries.payout_released(available, held, order.settlement_currency, before.hold_minor)]
    if row.money is Money.SETTLE and split is not None:
        order.hold_minor = 0
        return [entries.payout_completed(accounts_of(order), before.hold_minor, split, order.actual_minor)]
    return []


def _payin_postings(
    order: OrderRecord, before: OrderRecord, row: Transition, split: Split | None
) -> list[Posting]:
    if row.money is Money.HOLD:
        order.hold_minor = order.settlement_minor
        return [entries.hold(accounts_of(order), order.settlement_minor, round_=order.round)]
    if row.money is Money.RELEASE and before.hold_minor:
        order.hold_minor = 0
        return [entries.release(accounts_of(before), before.hold_minor, round_=before.round)]
    if row.money in {Money.SETTLE, Money.HOLD_AND_SETTLE} and split is not None:
        accounts, held = accounts_of(order), before.hold_minor
        postings = []
        if not held:
            # The hold was given back when the order expired: it is taken anew, if the deposit still covers it.
            order.round += 1
            held = split.settlement_minor
            postings.append(entries.hold(accounts, held, round_=order.round))
        order.hold_minor = 0
        return [*postings, entries.payin_completed(accounts, held, split, order.actual_minor)]
    return []


_OF_REOPENED = {Limits.CLOSE: Limits.COUNT, Limits.GIVE_BACK: Limits.KEEP}


def _limits(order: OrderRecord, before: OrderRecord, row: Transition) -> dict[str, Any]:
    """Changes of the requisite's counters, in the currency's minor units; sets when `order` leaves the window.

    TAKE is done by the matcher's own statement. A dispute over an expired order took nothing of its requisite's
    limits: decided, it counts as a late payment does, or not at all.
    """
    requisite = before.requisite_id
    limits = _OF_REOPENED.get(row.limits, row.limits) if before.is_reopened else row.limits
    changes = {
        Limits.KEEP: (0, 0, 0),
        Limits.TAKE: (0, 0, 0),
        Limits.GIVE_BACK: (-1, -1, -1),
        Limits.CLOSE: (-1, 0, 0),
        Limits.COUNT: (0, 1, 1),
    }
    d_open, sign, d_count = changes[limits]
    if limits is Limits.GIVE_BACK:
        order.window_leaves_at = None
    elif limits is Limits.COUNT and requisite is not None:
        order.window_leaves_at = _back_in_window(before)
    d_window = 0
    if requisite is not None:
        d_window = (order.window_leaves_at is not None) - (before.window_leaves_at is not None)
    return {
        "limits_requisite": requisite if limits is not Limits.KEEP else None,
        "limits_day": before.counted_day,
        "d_open": d_open,
        "d_amount": sign * before.amount_minor,
        "d_count": d_count,
        "d_window": d_window * before.amount_minor,
    }


_WINDOW = "SELECT window_s FROM requisite WHERE id = %(id)s FOR NO KEY UPDATE"


def _back_in_window(order: OrderRecord) -> datetime | None:
    """When an order that counts again leaves its requisite's rolling window; None when it would have left already.

    Locks the requisite, so that the window's length is what its counter counts.
    """
    window_s = hot(_WINDOW, {"id": order.requisite_id})[0]["window_s"]
    if window_s is None or order.assigned_at is None:
        return None
    leaves_at = order.assigned_at + timedelta(seconds=window_s)
    return leaves_at if leaves_at > order.read_at else None


def _events(order: OrderRecord, row: Transition, extra: tuple[str, ...]) -> dict[str, Any]:
    types = [*extra, row.event] if row.event else []
    data = orjson.dumps(event_data(order)).decode() if types else "null"
    return {
        "event_ids": [new_id() for _ in types],
        "event_types": types,
        "event_data": data,
        "event_trader": order.trader_id,
        "event_requisite": order.requisite_id,
    }
