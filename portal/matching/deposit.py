"""What a trader's deposit covers: what follows from deposit_covers() of sql/requisite_verdict.sql, which is the rule.

A payin's hold is its amount at the rate, half-even (`settlement_minor`), and never nothing.
"""

from __future__ import annotations

# The greatest amount whose hold the deposit of ledger_account `a` covers, in minor units of fiat; 0 where it covers none.
# It is settlement_minor() the other way round, exactly: a half goes to the even unit, so that 2.5 is covered by 2 and
# 3.5 is not by 3. `fiat_scale` and `settlement_scale` are minor units in one unit.
COVERED_AMOUNT = """
CASE WHEN a.balance > 0 THEN div(
  (2 * a.balance::numeric + 1) * %(rate)s * %(fiat_scale)s - a.balance %% 2, 2000000::numeric * %(settlement_scale)s
)::bigint ELSE 0 END"""


def lacking_minor(balance_minor: int, hold_minor: int) -> int:
    """What a deposit lacks to cover a hold, in minor units of its currency; 0 where deposit_covers() says true."""
    return max(hold_minor - balance_minor, 0)
