"""What could be served now: read-only questions about requisites, for stores that ask before they offer."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from portal.core.db import hot
from portal.matching.deposit import COVERED_AMOUNT
from portal.matching.verdicts import PAYOUT_GATE
from portal.reference import configuration as config


@dataclass(frozen=True, slots=True)
class Edges:
    """The amounts nearest to the one asked for that some requisite has room for; minor units of the currency."""

    below_minor: int | None
    above_minor: int | None


# The room of a requisite ends at the least of its limits and at what its trader's deposit covers.
_EDGES = f"""
SELECT max(least(r.room, %(amount)s - 1)) FILTER (WHERE r.min_amount < %(amount)s) AS below,
       min(greatest(r.min_amount, %(amount)s + 1)) FILTER (WHERE r.room > %(amount)s) AS above
  FROM (
    SELECT r.min_amount,
           least(requisite_room(r, t.day), {COVERED_AMOUNT}) AS room
      FROM requisite r JOIN ledger_account a ON a.id = r.available_account_id,
           (SELECT (now() AT TIME ZONE %(day_timezone)s)::date AS day) t
     WHERE r.mode = %(mode)s AND r.method = %(method)s AND r.currency = %(currency)s AND r.can_take_payin
       AND requisite_verdict(r, 'payin', r.min_amount, %(bank)s, t.day) = 'fits'
       AND traffic_refusals(r.trader_id, %(only)s::uuid[], %(never)s::uuid[]) = '{{}}'
  ) r
 WHERE r.room >= r.min_amount
"""  # noqa: S608 - a constant

_PAYOUT_TAKERS = f"""
SELECT DISTINCT r.trader_id FROM requisite r, (SELECT (now() AT TIME ZONE %(day_timezone)s)::date AS day) t
 WHERE r.mode = %(mode)s AND r.method = %(method)s AND r.currency = %(currency)s AND {PAYOUT_GATE}
   AND requisite_verdict(r, 'payout', %(amount)s, NULL, t.day) = 'fits'
   AND traffic_refusals(r.trader_id, %(only)s::uuid[], %(never)s::uuid[]) = '{{}}'
   AND NOT had_trader(%(order_id)s, r.trader_id)
 ORDER BY r.trader_id LIMIT %(limit)s
"""  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True)
class Corner:
    """Where one looks: mode, method, currency, bank, and which traders a store's orders may go to."""

    mode: str
    method: str
    currency: str
    bank: str | None
    only: Sequence[uuid.UUID]
    never: Sequence[uuid.UUID]

    def params(self) -> dict[str, object]:
        return {
            "mode": self.mode, "method": self.method, "currency": self.currency, "bank": self.bank,
            "only": list(self.only), "never": list(self.never),
        }  # fmt: skip


def payin_edges(
    corner: Corner, amount_minor: int, *, rate_micros: int, fiat_scale: int, settlement_scale: int
) -> Edges:
    """The nearest amounts on both sides of this one that some requisite's limits and deposit have room for.

    `fiat_scale` and `settlement_scale` are minor units in one unit. Candidates: an open order of the same
    amount can still be in the way, which only the matcher itself knows.
    """
    params = corner.params() | {
        "amount": amount_minor, "rate": rate_micros, "fiat_scale": fiat_scale, "settlement_scale": settlement_scale,
        "day_timezone": config.get(config.DAY_TIMEZONE),
    }  # fmt: skip
    row = hot(_EDGES, params)[0]
    return Edges(row["below"], row["above"])


def list_payout_takers(
    corner: Corner, amount_minor: int, *, order_id: uuid.UUID | None = None, limit: int = 20
) -> list[uuid.UUID]:
    """Traders who could accept a payout of this amount now; of an order, those who have not had it."""
    params = corner.params() | {
        "amount": amount_minor, "order_id": order_id, "limit": limit, "day_timezone": config.get(config.DAY_TIMEZONE),
    }  # fmt: skip
    return [row["trader_id"] for row in hot(_PAYOUT_TAKERS, params)]
