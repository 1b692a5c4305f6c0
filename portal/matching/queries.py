"""Which methods a customer may choose from now, and why an order finds nobody.

Amounts are minor units of the fiat currency, holds minor units of the settlement currency. Nothing is
reserved: the answer holds for this moment only.
"""

from __future__ import annotations

from dataclasses import dataclass

from portal.core.db import hot
from portal.matching.service import Wanted
from portal.matching.verdicts import Verdict
from portal.merchants.queries import StoreTerms
from portal.reference import configuration as config
from portal.reference.queries import list_methods

_BANKS = """
SELECT DISTINCT f.bank FROM (
  SELECT r.bank FROM requisite r JOIN ledger_account a ON a.id = r.available_account_id,
         (SELECT (now() AT TIME ZONE %(day_timezone)s)::date AS day) t
   WHERE r.mode = %(mode)s AND r.method = %(method)s AND r.currency = %(currency)s AND r.can_take_payin
     AND r.amounts @> %(amount)s::bigint
     AND requisite_verdict(r, 'payin', %(amount)s, NULL, t.day) = 'fits'
     AND traffic_refusals(r.trader_id, %(only)s::uuid[], %(never)s::uuid[]) = '{}'
     AND deposit_covers(a, %(hold)s)
     AND NOT has_open_amount(r.id, %(amount)s, NULL)
   LIMIT 500) f
"""


@dataclass(frozen=True, slots=True)
class OpenMethod:
    """A method that somebody could serve now, and through which banks (None: a requisite without a bank)."""

    method: str
    banks: tuple[str | None, ...]


def methods_available(
    store: StoreTerms, mode: str, currency: str, amount_minor: int, hold_minor: int
) -> list[OpenMethod]:
    """The methods of a currency in which this payin would find a requisite now, in the catalogue's order."""
    found = []
    for method in list_methods(currency):
        if store.plan("payin", method.code) is None:
            continue
        params = {
            "mode": mode, "method": method.code, "currency": currency, "amount": amount_minor,
            "hold": hold_minor, "never": list(store.traffic_for(mode).excluded),
            "only": list(store.traffic_for(mode).pinned), "day_timezone": config.get(config.DAY_TIMEZONE),
        }  # fmt: skip
        banks = tuple(row["bank"] for row in hot(_BANKS, params))
        if banks:
            found.append(OpenMethod(method.code, banks))
    return found


_WHY = """
WITH judged AS (
  SELECT requisite_refusals(r, 'payin', %(amount)s, %(bank)s, t.day)
         || traffic_refusals(r.trader_id, %(only)s::uuid[], %(never)s::uuid[])
         || array_remove(ARRAY[
              CASE WHEN had_requisite(%(order_id)s, r.id) THEN 'had_it_before' END,
              CASE WHEN NOT deposit_covers(a, %(hold)s) THEN 'deposit' END,
              CASE WHEN has_open_amount(r.id, %(amount)s, %(order_id)s) THEN 'same_amount' END], NULL) AS refusals,
         r.can_take_payin
    FROM requisite r JOIN ledger_account a ON a.id = r.available_account_id,
         (SELECT (now() AT TIME ZONE %(day_timezone)s)::date AS day) t
   WHERE r.mode = %(mode)s AND r.method = %(method)s AND r.currency = %(currency)s AND r.status <> 'archived'
)
SELECT v.verdict, count(*) AS requisites
  FROM judged j, unnest('{all}' || CASE WHEN j.refusals <> '{}' THEN j.refusals
                                        WHEN j.can_take_payin THEN '{fits}' ELSE '{just_used_up}' END) AS v (verdict)
 GROUP BY v.verdict
"""
# Of a row that somebody holds this moment only a search can tell.
_REASONS = [verdict for verdict in Verdict if verdict not in {Verdict.FITS, Verdict.BUSY}]


def count_reasons(wanted: Wanted) -> dict[str, int]:
    """How many requisites of the payin's bucket each verdict would turn away now, and how many would fit.

    A requisite is counted under every condition it fails. Looks at all of the bucket: for people who ask
    why, not for a hot path.
    """
    params = {
        "mode": wanted.mode, "method": wanted.method, "currency": wanted.currency, "bank": wanted.bank,
        "amount": wanted.amount_minor, "hold": wanted.hold_minor, "order_id": wanted.order_id,
        "never": list(wanted.traffic.excluded), "only": list(wanted.traffic.pinned),
        "day_timezone": config.get(config.DAY_TIMEZONE),
    }  # fmt: skip
    counts = {row["verdict"]: int(row["requisites"]) for row in hot(_WHY, params)}
    found = {"requisites": counts.get("all", 0), "would_fit": counts.get(Verdict.FITS, 0)}
    return found | {verdict.value: counts.get(verdict, 0) for verdict in _REASONS}
