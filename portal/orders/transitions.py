"""The life of an order: the one table of what may happen, to what, by whom, and what it does.

The database refuses every other change of status as well (`order_status_moves` in sql/order_rules.sql).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from portal.core.actors import STAFF, Actor, ActorKind
from portal.core.errors import Forbidden, InvalidTransition
from portal.orders.models import Direction, Status


class Step(StrEnum):
    """What happens to an order."""

    CREATED = "created"
    RELEASED = "released"
    REFUSED = "refused"
    MATCHED = "matched"
    MATCH_RAN_OUT = "match_ran_out"
    CLAIMED = "claimed"
    PAY_RAN_OUT = "pay_ran_out"
    DECLINED = "declined"
    AMOUNT_REPORTED = "amount_reported"
    AMOUNT_AGREED = "amount_agreed"
    CONFIRMED = "confirmed"
    CONFIRMED_LATE = "confirmed_late"
    CANCELLED = "cancelled"
    DISPUTED = "disputed"
    DECIDED_COMPLETED = "decided_completed"
    DECIDED_CANCELLED = "decided_cancelled"


class Note(StrEnum):
    """What is noted in an order's timeline and moves nothing; some are written without the order's lock."""

    METHOD_CHOSEN = "method_chosen"
    DEADLINE_EXTENDED = "deadline_extended"
    DEADLINE_CORRECTED = "deadline_corrected"
    CLOCK_MOVED = "clock_moved"
    RECEIPT_ADDED = "receipt_added"
    REQUISITE_SHOWN = "requisite_shown"


class Money(StrEnum):
    """What a transition posts."""

    NOTHING = "nothing"
    HOLD = "hold"  # payin: trader.available -> trader.held
    RELEASE = "release"  # what is held goes back
    SETTLE = "settle"  # the hold pays everybody
    HOLD_AND_SETTLE = "hold_and_settle"  # late: as matched and completed, one entry each


class Limits(StrEnum):
    """What a transition does to the requisite's limits."""

    KEEP = "keep"
    TAKE = "take"  # an open order more, the amount counted
    GIVE_BACK = "give_back"  # as if the order had never been there
    CLOSE = "close"  # an open order less, the amount stays counted
    COUNT = "count"  # late: the amount counted, no open order


@dataclass(frozen=True, slots=True)
class Transition:
    step: Step
    sources: frozenset[Status]
    target: Status
    actors: frozenset[ActorKind]
    money: Money = Money.NOTHING
    limits: Limits = Limits.KEEP
    event: str | None = None


_S, _A = Status, ActorKind


def _row(
    step: Step,
    sources: set[Status],
    target: Status,
    actors: Collection[ActorKind],
    money: Money = Money.NOTHING,
    limits: Limits = Limits.KEEP,
    event: str | None = None,
) -> Transition:
    return Transition(step, frozenset(sources), target, frozenset(actors), money, limits, event)


# fmt: off
PAYIN = (
    # step                  from                                          to                        who                                                             money                  limits            told as
    _row(Step.RELEASED,     {_S.REVIEW},                                  _S.MATCHING,              STAFF),
    _row(Step.REFUSED,      {_S.REVIEW},                                  _S.FAILED,                STAFF,                                                          Money.NOTHING,         Limits.KEEP,      "order.failed"),
    _row(Step.MATCHED,      {_S.MATCHING},                                _S.AWAITING_PAYMENT,      {_A.SYSTEM, _A.CUSTOMER, _A.MERCHANT, *STAFF},                  Money.HOLD,            Limits.TAKE,      "order.matched"),
    _row(Step.MATCH_RAN_OUT, {_S.MATCHING, _S.REVIEW},                    _S.FAILED,                {_A.SYSTEM},                                                    Money.NOTHING,         Limits.KEEP,      "order.failed"),
    _row(Step.CANCELLED,    {_S.REVIEW, _S.MATCHING},                     _S.CANCELLED,             {_A.CUSTOMER, _A.MERCHANT, *STAFF},                             Money.NOTHING,         Limits.KEEP,      "order.cancelled"),
    _row(Step.CANCELLED,    {_S.AWAITING_PAYMENT},                        _S.CANCELLED,             {_A.CUSTOMER, _A.MERCHANT, *STAFF},                             Money.RELEASE,         Limits.GIVE_BACK, "order.cancelled"),
    _row(Step.PAY_RAN_OUT,  {_S.AWAITING_PAYMENT},                        _S.EXPIRED,               {_A.SYSTEM},                                                    Money.RELEASE,         Limits.GIVE_BACK, "order.expired"),
    _row(Step.DECLINED,     {_S.AWAITING_PAYMENT},                        _S.MATCHING,              {_A.TRADER, _A.SYSTEM, *STAFF},                                 Money.RELEASE,         Limits.GIVE_BACK),
    _row(Step.CLAIMED,      {_S.AWAITING_PAYMENT},                        _S.AWAITING_CONFIRMATION, {_A.CUSTOMER, _A.MERCHANT},                                     Money.NOTHING,         Limits.KEEP,      "order.claimed"),
    _row(Step.CONFIRMED,    {_S.AWAITING_PAYMENT, _S.AWAITING_CONFIRMATION}, _S.COMPLETED,          {_A.TRADER, _A.SYSTEM, *STAFF},                                 Money.SETTLE,          Limits.CLOSE,     "order.completed"),
    _row(Step.AMOUNT_REPORTED, {_S.AWAITING_PAYMENT, _S.AWAITING_CONFIRMATION}, _S.AWAITING_CONFIRMATION, {_A.TRADER, _A.SYSTEM},                              Money.NOTHING,         Limits.KEEP,      "order.amount_reported"),
    _row(Step.AMOUNT_AGREED, {_S.AWAITING_CONFIRMATION},                  _S.COMPLETED,             {_A.CUSTOMER},                                                  Money.SETTLE,          Limits.CLOSE,     "order.completed"),
    _row(Step.CONFIRMED_LATE, {_S.EXPIRED},                               _S.COMPLETED,             {_A.TRADER, *STAFF},                                            Money.HOLD_AND_SETTLE, Limits.COUNT,     "order.completed"),
    _row(Step.DISPUTED,     {_S.AWAITING_PAYMENT, _S.AWAITING_CONFIRMATION}, _S.DISPUTED,           {_A.CUSTOMER, _A.MERCHANT, _A.TRADER, _A.SYSTEM, *STAFF},       Money.NOTHING,         Limits.KEEP,      "order.disputed"),
    _row(Step.DISPUTED,     {_S.EXPIRED},                                 _S.DISPUTED,              {_A.CUSTOMER, _A.MERCHANT, _A.TRADER, *STAFF},                  Money.NOTHING,         Limits.KEEP,      "order.disputed"),
    _row(Step.DECIDED_COMPLETED, {_S.DISPUTED},                           _S.COMPLETED,             STAFF,                                                          Money.SETTLE,          Limits.CLOSE,     "order.completed"),
    _row(Step.DECIDED_CANCELLED, {_S.DISPUTED},                           _S.CANCELLED,             STAFF,                                                          Money.RELEASE,         Limits.GIVE_BACK, "order.cancelled"),
)

PAYOUT = (
    _row(Step.RELEASED,     {_S.REVIEW},                                  _S.MATCHING,              STAFF),
    _row(Step.REFUSED,      {_S.REVIEW},                                  _S.FAILED,                STAFF,                                                          Money.RELEASE,         Limits.KEEP,      "payout.failed"),
    _row(Step.MATCHED,      {_S.MATCHING},                                _S.AWAITING_PAYOUT,       {_A.TRADER, *STAFF},                                            Money.NOTHING,         Limits.TAKE,      "order.matched"),
    _row(Step.MATCH_RAN_OUT, {_S.MATCHING, _S.REVIEW},                    _S.FAILED,                {_A.SYSTEM},                                                    Money.RELEASE,         Limits.KEEP,      "payout.failed"),
    _row(Step.CANCELLED,    {_S.REVIEW, _S.MATCHING},                     _S.CANCELLED,             {_A.MERCHANT, *STAFF},                                          Money.RELEASE,         Limits.KEEP,      "payout.cancelled"),
    _row(Step.DECLINED,     {_S.AWAITING_PAYOUT},                         _S.MATCHING,              {_A.TRADER, _A.SYSTEM, *STAFF},                                 Money.NOTHING,         Limits.GIVE_BACK),
    _row(Step.PAY_RAN_OUT,  {_S.AWAITING_PAYOUT},                         _S.MATCHING,              {_A.SYSTEM},                                                    Money.NOTHING,         Limits.GIVE_BACK),
    _row(Step.CLAIMED,      {_S.AWAITING_PAYOUT},                         _S.AWAITING_CONFIRMATION, {_A.TRADER, _A.SYSTEM},                                         Money.NOTHING,         Limits.KEEP,      "order.claimed"),
    _row(Step.CONFIRMED,    {_S.AWAITING_CONFIRMATION},                   _S.COMPLETED,             {_A.MERCHANT, _A.SYSTEM, *STAFF},                               Money.SETTLE,          Limits.CLOSE,     "payout.completed"),
    _row(Step.DISPUTED,     {_S.AWAITING_PAYOUT},                         _S.DISPUTED,              {_A.MERCHANT, _A.TRADER, *STAFF},                               Money.NOTHING,         Limits.KEEP,      "order.disputed"),
    _row(Step.DISPUTED,     {_S.AWAITING_CONFIRMATION},                   _S.DISPUTED,              {_A.MERCHANT, _A.TRADER, _A.SYSTEM, *STAFF},                               Money.NOTHING,         Limits.KEEP,      "order.disputed"),
    _row(Step.DECIDED_COMPLETED, {_S.DISPUTED},                           _S.COMPLETED,             STAFF,                                                          Money.SETTLE,          Limits.CLOSE,     "payout.completed"),
    _row(Step.DECIDED_CANCELLED, {_S.DISPUTED},                           _S.CANCELLED,             STAFF,                                                          Money.RELEASE,         Limits.GIVE_BACK, "payout.cancelled"),
)
# fmt: on

_TABLE = {
    (direction, source, row.step): row
    for direction, rows in ((Direction.PAYIN, PAYIN), (Direction.PAYOUT, PAYOUT))
    for row in rows
    for source in row.sources
}


def may_happen(direction: str, status: str, steps: Collection[Step], kind: ActorKind) -> bool:
    """Whether one of these steps fits the order as it stands, for such an actor."""
    rows = (_TABLE.get((Direction(direction), Status(status), step)) for step in steps)
    return any(row is not None and kind in row.actors for row in rows)


def find_transition(direction: str, status: str, step: Step, actor: Actor) -> Transition:
    """The row of the table. Raises InvalidTransition (409) and, for the wrong actor, Forbidden (403)."""
    row = _TABLE.get((Direction(direction), Status(status), step))
    if row is None:
        raise InvalidTransition(
            f"This is not possible any more: the order is {status.replace('_', ' ')}.",
            extra={"order_status": status},
        )
    if actor.kind not in row.actors:
        raise Forbidden(f"A {actor.kind.value} may not do this.")
    return row


def event_of(direction: str, status: str, step: Step) -> str | None:
    """What is told of a step from this status, whoever takes it."""
    return _TABLE[Direction(direction), Status(status), step].event
