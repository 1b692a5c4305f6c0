"""Why nobody sends orders to a trader: every reason that holds now, from the rows that matching reads."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from portal.core.db import hot
from portal.core.money import settlement_minor
from portal.matching.deposit import lacking_minor
from portal.matching.verdicts import Verdict
from portal.reference.errors import RateUnavailable
from portal.reference.queries import current_rate, get_currency
from portal.traders.models import TraderStatus

Row = dict[str, Any]


class ReasonCode(StrEnum):
    NOT_VERIFIED = "not_verified"
    BLOCKED = "blocked"
    SWITCHED_OFF = "switched_off"
    LEAD_SWITCHED_OFF = "lead_switched_off"
    NO_REQUISITE = "no_requisite"
    REQUISITE_NOT_APPROVED = "requisite_not_approved"
    REQUISITE_OFF = "requisite_off"
    NO_RATE = "no_rate"
    DEPOSIT_TOO_LOW = "deposit_too_low"
    OPEN_ORDERS_FULL = "open_orders_full"
    LIMITS_USED_UP = "limits_used_up"


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason. `short_minor` of `currency` (settlement) is what the deposit lacks for the smallest order."""

    code: ReasonCode
    short_minor: int = 0
    currency: str = ""
    words: str = ""


_TRADER = """
SELECT t.status, t.is_working, t.is_blocked, t.blocked_reason,
       t.lead_payin_on AND coalesce(m.payin_on, true) AS lead_payin_on,
       t.lead_payout_on AND coalesce(m.payout_on, true) AS lead_payout_on
  FROM trader t LEFT JOIN team m ON m.id = t.team_id WHERE t.id = %(id)s
"""
# What the smallest order of either direction is refused for.
_REQUISITES = """
SELECT r.currency, r.min_amount, r.payin_on, r.payout_on, a.balance AS available,
       a.currency AS settlement_currency, requisite_refusals(r, 'payin', r.min_amount, NULL, d.day) AS of_payin,
       requisite_refusals(r, 'payout', r.min_amount, NULL, d.day) AS of_payout
  FROM requisite r JOIN ledger_account a ON a.id = r.available_account_id,
       (SELECT (now() AT TIME ZONE %(day_timezone)s)::date AS day) d
 WHERE r.trader_id = %(id)s AND r.status <> 'archived'
"""


def why_no_orders(trader_id: uuid.UUID, day_timezone: str) -> list[Reason]:
    """Every reason why this trader gets no payins now, the ones only they can change last; empty when they do.

    `day_timezone` is the zone in which a day of limits begins. A trader whose approved requisites only pay
    out is not asked for what payins need (deposit).
    """
    trader = hot(_TRADER, {"id": trader_id})[0]
    requisites = hot(_REQUISITES, {"id": trader_id, "day_timezone": day_timezone})
    reasons = []
    if trader["status"] != TraderStatus.VERIFIED:
        reasons.append(Reason(ReasonCode.NOT_VERIFIED))
    if trader["is_blocked"]:
        reasons.append(Reason(ReasonCode.BLOCKED, words=trader["blocked_reason"] or ""))
    if not (trader["lead_payin_on"] or trader["lead_payout_on"]):
        reasons.append(Reason(ReasonCode.LEAD_SWITCHED_OFF))
    if not trader["is_working"]:
        reasons.append(Reason(ReasonCode.SWITCHED_OFF))
    return [*reasons, *_of_requisites(requisites)]


# What keeps a requisite from taking an order, in the order in which to put it right. Whether the trader works is told
# of the trader.
_KEEPS: dict[ReasonCode, frozenset[Verdict]] = {
    ReasonCode.NO_REQUISITE: frozenset(),
    ReasonCode.REQUISITE_NOT_APPROVED: frozenset({Verdict.NOT_APPROVED}),
    ReasonCode.REQUISITE_OFF: frozenset({Verdict.SWITCHED_OFF}),
    ReasonCode.OPEN_ORDERS_FULL: frozenset({Verdict.OPEN_ORDERS}),
    ReasonCode.LIMITS_USED_UP: frozenset(
        {Verdict.DAY_AMOUNT, Verdict.DAY_COUNT, Verdict.WINDOW_AMOUNT, Verdict.TOTAL_AMOUNT}
    ),
}


def _of_requisites(requisites: list[Row]) -> list[Reason]:
    """What keeps all of the requisites from taking an order: one that could is enough."""
    for code, verdicts in _KEEPS.items():
        requisites = [row for row in requisites if verdicts.isdisjoint(_refused(row))]
        if not requisites:
            return [Reason(code)]
    if any(row["payout_on"] and not row["payin_on"] for row in requisites):
        return []
    return _of_deposit(requisites)


def _refused(row: Row) -> set[str]:
    """Why it takes neither payins nor payouts."""
    return set(row["of_payin"]) & set(row["of_payout"])


def _of_deposit(requisites: list[Row]) -> list[Reason]:
    """Whether the deposit covers the hold of the smallest order that any of the requisites takes."""
    lacking: list[tuple[int, str]] = []
    for row in requisites:
        currency, settlement = row["currency"], row["settlement_currency"]
        try:
            quote = current_rate(currency, settlement, "payin")
        except RateUnavailable:
            continue
        exponents = get_currency(currency).exponent, get_currency(settlement).exponent
        hold = settlement_minor(row["min_amount"], *exponents, quote.micros)
        lacking.append((lacking_minor(row["available"], hold), settlement))
    if not lacking:
        return [Reason(ReasonCode.NO_RATE)]
    short, settlement = min(lacking)
    return [Reason(ReasonCode.DEPOSIT_TOO_LOW, short, settlement)] if short else []
