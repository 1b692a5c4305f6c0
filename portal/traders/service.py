"""Opening traders and requisites, and every switch that decides whether they get orders."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from sqlalchemy import or_, select, update
from sqlalchemy.exc import IntegrityError

from portal.audit.service import record_audit
from portal.core.actors import SYSTEM, Actor
from portal.core.crypto import blind_index, encrypt
from portal.core.db import after_commit, constraint_of, db
from portal.core.errors import Conflict, FieldProblem, Forbidden, ValidationFailed
from portal.core.ids import new_id
from portal.core.jobs import enqueue_job
from portal.core.modes import Mode
from portal.core.text_rules import reason_of
from portal.ledger.accounts import account_id, trader_account
from portal.ledger.models import AccountKind
from portal.reference import configuration as config
from portal.reference.queries import default_settlement_currency, find_bank, get_method, method_terms
from portal.reference.requisite_numbers import normalise
from portal.traders.models import Requisite, Team, Trader, TraderStatus
from portal.traders.queries import get_team, get_trader, traders


@dataclass(frozen=True, slots=True)
class NewRequisite:
    """Amounts are minor units of `currency`. A limit of None is no limit."""

    method: str
    currency: str
    number: str
    holder: str
    bank: str | None = None
    min_amount: int = 1
    max_amount: int = 10**12
    max_open_orders: int = field(default_factory=lambda: config.get(config.MAX_OPEN_ORDERS_DEFAULT))
    day_amount_limit: int | None = None
    day_count_limit: int | None = None
    window_s: int | None = None
    window_amount_limit: int | None = None
    total_amount_limit: int | None = None
    tier: int = 5
    weight: int = 1


def create_trader(
    name: str,
    *,
    actor: Actor,
    user_id: uuid.UUID | None = None,
    team_id: uuid.UUID | None = None,
    mode: Mode = Mode.LIVE,
    settlement_currency: str | None = None,
) -> Trader:
    """A new trader, not verified yet, with their accounts in the settlement currency (None: the house's) opened."""
    settled_in = settlement_currency or default_settlement_currency()
    trader = Trader(name=name, user_id=user_id, team_id=team_id, mode=mode.value)
    db.session.add(trader)
    db.session.flush()
    for kind in (AccountKind.AVAILABLE, AccountKind.HELD):
        account_id(trader_account(trader.id, kind, settled_in, mode))
    after = {"name": name, "user": user_id, "team": team_id, "mode": mode.value, "currency": settled_in}
    record_audit("trader.opened", actor=actor, subject=("trader", trader.id), after=after)
    traders.changed()
    return trader


def verify_trader(trader_id: uuid.UUID, *, actor: Actor = SYSTEM) -> None:
    """Without documents or an end: for those whom the house itself opens. People use decide_verification()."""
    set_status(trader_id, TraderStatus.VERIFIED, verified_until=None, actor=actor)


def set_status(
    trader_id: uuid.UUID, status: TraderStatus, *, verified_until: datetime | None, actor: Actor
) -> None:
    """Whether the trader may work, and until when (UTC; None is for good). Locks the trader. Needs transaction()."""
    _set_trader(trader_id, actor, status=status.value, verified_until=verified_until)


def set_working(trader_id: uuid.UUID, is_working: bool, *, actor: Actor = SYSTEM) -> None:
    """The trader's own big switch. Open orders are not touched by it."""
    _set_trader(trader_id, actor, is_working=is_working)
    if is_working:
        after_commit(_look_again)


def _look_again() -> None:
    """Payins that wait may fit now; without Redis they are found a moment later."""
    enqueue_job("match_waiting")


def block_trader(trader_id: uuid.UUID, reason: str, *, actor: Actor = SYSTEM) -> None:
    """No new orders come, whatever is switched on; those that run go on. Locks the trader. Needs transaction().

    Raises NotFound, Conflict `already_blocked`, Forbidden for oneself, ValidationFailed (reason).
    """
    words = reason_of(reason)
    trader = get_trader(trader_id, lock=True)
    if actor.id is not None and actor.id == trader.user_id:
        raise Forbidden("Nobody blocks themselves.", code="not_for_oneself")
    if trader.is_blocked:
        raise Conflict("This trader is blocked already.", code="already_blocked")
    after = {"is_blocked": True, "blocked_reason": words}
    subject = ("trader", trader_id)
    record_audit("trader.blocked", actor=actor, subject=subject, after=after, reason=words)
    _apply(trader, **after)


def unblock_trader(trader_id: uuid.UUID, reason: str, *, actor: Actor = SYSTEM) -> None:
    """Orders come again as far as the switches let them. Raises as block_trader(), Conflict `not_blocked`."""
    words = reason_of(reason)
    trader = get_trader(trader_id, lock=True)
    if actor.id is not None and actor.id == trader.user_id:
        raise Forbidden("Nobody unblocks themselves.", code="not_for_oneself")
    if not trader.is_blocked:
        raise Conflict("This trader is not blocked.", code="not_blocked")
    before = {"is_blocked": True, "blocked_reason": trader.blocked_reason}
    subject = ("trader", trader_id)
    record_audit("trader.unblocked", actor=actor, subject=subject, before=before, reason=words)
    _apply(trader, is_blocked=False, blocked_reason=None)
    if trader.is_working:
        after_commit(_look_again)


def set_lead_switches(
    trader_id: uuid.UUID, *, payin_on: bool, payout_on: bool, actor: Actor = SYSTEM
) -> None:
    _set_trader(trader_id, actor, lead_payin_on=payin_on, lead_payout_on=payout_on)


def set_team_switches(team_id: uuid.UUID, *, payin_on: bool, payout_on: bool, actor: Actor = SYSTEM) -> None:
    """The lead's switches for the whole team. Locks the team. Raises NotFound. Needs transaction()."""
    team = get_team(team_id, lock=True)
    before = {"payin_on": team.payin_on, "payout_on": team.payout_on}
    after = {"payin_on": payin_on, "payout_on": payout_on}
    if before == after:
        return
    team.payin_on, team.payout_on = payin_on, payout_on
    db.session.flush()
    record_audit("team.switched", actor=actor, subject=("team", team_id), before=before, after=after)
    for trader_id in db.session.scalars(
        select(Trader.id).where(Trader.team_id == team_id).order_by(Trader.id)
    ):
        refresh_readiness(trader_id)


def _set_trader(trader_id: uuid.UUID, actor: Actor, **values: object) -> None:
    trader = get_trader(trader_id, lock=True)
    before = {name: getattr(trader, name) for name in values}
    if before != values:
        record_audit(
            "trader.changed", actor=actor, subject=("trader", trader_id), before=before, after=values
        )
    _apply(trader, **values)


def _apply(trader: Trader, **values: object) -> None:
    for name, value in values.items():
        setattr(trader, name, value)
    db.session.flush()
    refresh_readiness(trader.id)


def refresh_readiness(trader_id: uuid.UUID) -> None:
    """Repeat on the trader's requisites whether the trader may get orders at all. Locks them, by id.

    Everything that changes the answer ends here, in its own transaction, so that matching reads one row. Trader and team
    are read once nobody else is at the rows, and rows that say so already are not written.
    """
    its = Requisite.trader_id == trader_id
    locked = select(Requisite.id).where(its).order_by(Requisite.id).with_for_update(key_share=True)
    db.session.execute(locked).all()
    trader = get_trader(trader_id)
    team = db.session.get(Team, trader.team_id, populate_existing=True) if trader.team_id else None
    ready = trader.status == TraderStatus.VERIFIED and trader.is_working and not trader.is_blocked
    payin_on = ready and trader.lead_payin_on and (team is None or team.payin_on)
    payout_on = ready and trader.lead_payout_on and (team is None or team.payout_on)
    differs = or_(Requisite.trader_payin_on != payin_on, Requisite.trader_payout_on != payout_on)
    values = {"trader_payin_on": payin_on, "trader_payout_on": payout_on}
    db.session.execute(update(Requisite).where(its, differs).values(values))


def add_requisite(
    trader_id: uuid.UUID,
    new: NewRequisite,
    *,
    actor: Actor,
    submitted_by: uuid.UUID | None = None,
    settlement_currency: str | None = None,
) -> Requisite:
    """A requisite that waits for approval. The number is checked by its method and stored encrypted.

    Its orders move the trader's money in the settlement currency, None for the house's. `submitted_by` is the
    person who may not approve it.

    Raises ValidationFailed (number, bank, limits, method not of this currency) and Conflict
    `duplicate_requisite` when the number is in use.
    """
    trader = get_trader(trader_id)
    mode = Mode(trader.mode)
    method = get_method(new.method)
    if method_terms(new.method, new.currency) is None:
        raise ValidationFailed.of("method", "unknown", "This method does not exist in this currency.")
    if new.bank is not None and find_bank(new.bank) is None:
        raise ValidationFailed.of("bank", "unknown", "There is no such bank.")
    if not 1 <= new.weight <= 100 or not 1 <= new.tier <= 9:
        raise ValidationFailed.of("weight", "out_of_range", "Weight or tier are out of range.")
    check_limits(new)
    settled_in = settlement_currency or default_settlement_currency()
    number = normalise(method.requisite_kind, new.number, new.currency)
    requisite_id = new_id()
    requisite = Requisite(
        id=requisite_id,
        trader_id=trader_id,
        mode=mode.value,
        method=new.method,
        currency=new.currency,
        bank=new.bank,
        holder=new.holder.strip(),
        number_encrypted=encrypt("requisite", "number", requisite_id, number.number),
        number_index=blind_index("requisite", number.number),
        number_masked=number.masked,
        number_last4=number.last4,
        available_account_id=account_id(trader_account(trader_id, AccountKind.AVAILABLE, settled_in, mode)),
        held_account_id=account_id(trader_account(trader_id, AccountKind.HELD, settled_in, mode)),
        tier=new.tier,
        weight=new.weight,
        min_amount=new.min_amount,
        max_amount=new.max_amount,
        max_open_orders=new.max_open_orders,
        day_amount_limit=new.day_amount_limit,
        day_count_limit=new.day_count_limit,
        window_s=new.window_s,
        window_amount_limit=new.window_amount_limit,
        total_amount_limit=new.total_amount_limit,
        submitted_by=submitted_by,
    )
    try:
        with db.session.begin_nested():
            db.session.add(requisite)
            db.session.flush()
    except IntegrityError as error:
        if constraint_of(error) == "uq_requisite_number":
            raise Conflict("This number is in use already.", code="duplicate_requisite") from None
        raise
    after = {"method": new.method, "currency": new.currency, "bank": new.bank, "number": new.number}
    record_audit("requisite.added", actor=actor, subject=("requisite", requisite_id), after=after)
    refresh_readiness(trader_id)
    return requisite


class Limits(Protocol):
    """Whatever has a requisite's limits."""

    @property
    def min_amount(self) -> int: ...
    @property
    def max_amount(self) -> int: ...
    @property
    def max_open_orders(self) -> int: ...
    @property
    def day_amount_limit(self) -> int | None: ...
    @property
    def day_count_limit(self) -> int | None: ...
    @property
    def window_s(self) -> int | None: ...
    @property
    def window_amount_limit(self) -> int | None: ...
    @property
    def total_amount_limit(self) -> int | None: ...


def check_limits(new: Limits) -> None:
    """Raises ValidationFailed naming each limit that makes no sense."""
    problems = []
    if not 0 < new.min_amount <= new.max_amount:
        problems.append(FieldProblem("min_amount", "out_of_range", "The least amount exceeds the greatest."))
    if not 1 <= new.max_open_orders <= 1000:
        problems.append(FieldProblem("max_open_orders", "out_of_range", "Give a number from 1 to 1000."))
    if (new.window_s is None) != (new.window_amount_limit is None):
        problems.append(FieldProblem("window_s", "incomplete", "A window needs both a length and an amount."))
    limits = (new.day_amount_limit, new.day_count_limit, new.window_amount_limit, new.total_amount_limit)
    if any(limit is not None and limit <= 0 for limit in limits):
        problems.append(
            FieldProblem("day_amount_limit", "out_of_range", "A limit must be greater than zero.")
        )
    if problems:
        raise ValidationFailed(problems[0].message, errors=problems)
