"""What is said of a requisite for an order: that it fits, or why it does not.

The rule itself is the database's (`requisite_verdict.sql` and `pick_requisite.sql` beside this file): `requisite_verdict()`
tells by the row alone, the rest needs the trader's deposit, the store's traffic rules, or other orders. Whoever picks,
offers, accepts, counts or explains asks these functions.
"""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """Exactly what the database's functions can say, and what the trace of a search counts."""

    FITS = "fits"
    # By the row alone, in the order in which they are told.
    NOT_APPROVED = "not_approved"
    SWITCHED_OFF = "switched_off"
    TRADER_NOT_WORKING = "trader_not_working"
    BANK = "bank"
    AMOUNT = "amount"
    OPEN_ORDERS = "open_orders"
    DAY_AMOUNT = "day_amount"
    DAY_COUNT = "day_count"
    WINDOW_AMOUNT = "window_amount"
    TOTAL_AMOUNT = "total_amount"
    # By more than the row.
    TRADER_EXCLUDED = "trader_excluded"
    TRADER_NOT_PINNED = "trader_not_pinned"
    HAD_IT_BEFORE = "had_it_before"
    DEPOSIT = "deposit"
    SAME_AMOUNT = "same_amount"
    # By the moment: another order holds the row, or it was closed to payins until the clock's next look.
    BUSY = "busy"
    JUST_USED_UP = "just_used_up"


# What ix_requisite_payout holds. The verdict of a payout implies it; named beside it, the index is used.
PAYOUT_GATE = "r.status = 'approved' AND r.payout_on AND r.trader_payout_on"
