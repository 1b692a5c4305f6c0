"""Limits of exposure: how much of the traders' deposits one store, customer or network may hold, and how many
requisites it may be shown. The database decides (`exposure_refusal`); here is what it is told, and what is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, text

from portal.core.db import hot
from portal.core.errors import TooManyRequests, ValidationFailed
from portal.core.modes import Mode
from portal.core.money import format_amount
from portal.core.observability import metrics
from portal.orders.record import OrderRecord
from portal.reference import configuration as config
from portal.reference.queries import get_currency
from portal.reference.snapshot import Snapshot

# A share of what traders have moves slowly: it may be that old.
_DEPOSITS_AGE_S = 10.0


class LimitName(StrEnum):
    """As a program reads it in `limit` of a refusal, and an operator in the metrics."""

    STORE_OPEN = "store_open"
    STORE_SHARE = "store_share"
    STORE_CLAIMED = "store_claimed"
    STORE_REQUISITES = "store_requisites"
    CUSTOMER_OPEN_ORDERS = "customer_open_orders"
    CUSTOMER_OPEN_VOLUME = "customer_open_volume"
    CUSTOMER_REQUISITES = "customer_requisites"
    CUSTOMER_UNPAID = "customer_unpaid"
    NETWORK_OPEN_ORDERS = "network_open_orders"
    NETWORK_OPEN_VOLUME = "network_open_volume"
    NETWORK_REQUISITES = "network_requisites"
    NETWORK_UNPAID = "network_unpaid"


_VOLUMES = frozenset(
    {
        LimitName.STORE_OPEN, LimitName.STORE_SHARE, LimitName.STORE_CLAIMED,
        LimitName.CUSTOMER_OPEN_VOLUME, LimitName.NETWORK_OPEN_VOLUME,
    }
)  # fmt: skip
_WORDS = {
    LimitName.STORE_OPEN: "The store's open payins hold {used} of the {allowed} that they may hold at once.",
    LimitName.STORE_SHARE: "The store's open payins hold {used} of {allowed}, which is one store's part of all deposits.",
    LimitName.STORE_CLAIMED: "{used} of the store's payins wait to be confirmed, and {allowed} may.",
    LimitName.STORE_REQUISITES: "The store was shown {used} requisites in this hour, of {allowed}. Payins that are paid allow more.",
    LimitName.CUSTOMER_OPEN_ORDERS: "The customer has {used} open payins, of {allowed}. One has to end first.",
    LimitName.CUSTOMER_OPEN_VOLUME: "The customer's open payins hold {used}, of {allowed}. One has to end first.",
    LimitName.CUSTOMER_REQUISITES: "The customer was shown {used} requisites within an hour, of {allowed}.",
    LimitName.CUSTOMER_UNPAID: "The customer has not paid the latest {used} payins of this hour, of {allowed}.",
    LimitName.NETWORK_OPEN_ORDERS: "There are too many open payins from the customer's network. Some have to end first.",
    LimitName.NETWORK_OPEN_VOLUME: "The open payins from the customer's network hold too much. Some have to end first.",
    LimitName.NETWORK_REQUISITES: "Too many requisites were shown to the customer's network within an hour.",
    LimitName.NETWORK_UNPAID: "Too many payins in a row from the customer's network are not paid.",
}


class LimitReached(TooManyRequests):
    """A limit of exposure; `extra` names it. Time, or a payin that ends, makes room."""

    title = "A limit of exposure is reached"


class AmountAboveLimit(ValidationFailed):
    """The one payin alone is more than may be open at once: it has to be smaller, or the limit higher."""

    code, title = "amount_above_limit", "The amount is above a limit of exposure"


def _load_deposits(connection: Connection) -> dict[tuple[str, str], int]:
    """What all traders have, by mode and currency in minor units; empty while one store alone could hold it."""
    if len(connection.execute(_STORES).all()) < 2:
        return {}
    return {(row.mode, row.currency): int(row.minor) for row in connection.execute(_DEPOSITS)}


_STORES = text("SELECT 1 FROM store WHERE is_active LIMIT 2")
_DEPOSITS = text(
    "SELECT mode, currency, sum(balance) AS minor FROM ledger_account"
    " WHERE owner_kind = 'trader' AND kind IN ('available', 'held') GROUP BY mode, currency"
)
_deposits = Snapshot("deposits", _load_deposits, lambda: _DEPOSITS_AGE_S)


def limits_of(mode: str, currency: str) -> str:
    """`p_limits` of exposure_refusal as the text of an array. Volumes in minor units of the settlement currency."""
    factor = config.get(config.EXPOSURE_TEST_FACTOR) if mode == Mode.TEST else 1
    unit = factor * 10 ** get_currency(currency).exponent
    limits = (
        open_limit(mode, currency)[0],
        unit * config.get(config.EXPOSURE_STORE_CLAIMED),
        factor * config.get(config.EXPOSURE_STORE_REQUISITES),
        factor * config.get(config.EXPOSURE_REQUISITES_PER_PAID),
        factor * config.get(config.EXPOSURE_CUSTOMER_OPEN_ORDERS),
        unit * config.get(config.EXPOSURE_CUSTOMER_OPEN),
        factor * config.get(config.EXPOSURE_CUSTOMER_REQUISITES),
        factor * config.get(config.EXPOSURE_CUSTOMER_UNPAID),
        factor * config.get(config.EXPOSURE_NETWORK_OPEN_ORDERS),
        unit * config.get(config.EXPOSURE_NETWORK_OPEN),
        factor * config.get(config.EXPOSURE_NETWORK_REQUISITES),
        factor * config.get(config.EXPOSURE_NETWORK_UNPAID),
    )
    return "{" + ",".join(map(str, limits)) + "}"


def open_limit(mode: str, currency: str) -> tuple[int, LimitName]:
    """What one store's open payins may hold in minor units, and which of the two limits that is.

    There is no share in test mode, whose deposits are worth nothing, and none where there are no deposits.
    """
    factor = config.get(config.EXPOSURE_TEST_FACTOR) if mode == Mode.TEST else 1
    most = factor * config.get(config.EXPOSURE_STORE_OPEN) * 10 ** get_currency(currency).exponent
    deposits = _deposits.get().get((mode, currency), 0) if mode == Mode.LIVE else 0
    share = deposits * config.get(config.EXPOSURE_STORE_SHARE_PERCENT) // 100
    return (share, LimitName.STORE_SHARE) if 0 < share < most else (most, LimitName.STORE_OPEN)


_ASK = """
SELECT * FROM exposure_refusal(%(mode)s, %(store)s, %(currency)s, %(order)s, %(amount)s, %(customer)s, %(ip)s,
                               %(limits)s::bigint[])
"""


def refusal_of(order: OrderRecord) -> LimitReached | AmountAboveLimit | None:
    """Why this payin may not be given a requisite now; None when it may.

    Locks what its limits are counted by until the end of the transaction, before its requisite is looked for.
    """
    row = hot(
        _ASK,
        {
            "mode": order.mode, "store": order.store_id, "currency": order.settlement_currency, "order": order.id,
            "amount": order.settlement_minor, "customer": order.customer_ref,
            "ip": None if order.customer_ip is None else str(order.customer_ip),
            "limits": limits_of(order.mode, order.settlement_currency),
        },
    )[0]  # fmt: skip
    return refusal_from(order, row)


_LOCK = """
SELECT 1 FROM exposure WHERE store_id = %(store)s AND mode = %(mode)s AND currency = %(currency)s
   AND slot = exposure_slot(%(order)s) FOR NO KEY UPDATE
"""


def lock_figures(order: OrderRecord) -> None:
    """Lock the row of the store's figures that a locked payin moves, until the end of the transaction.

    Its change locks that row before its requisite and accounts. Who needs one of these first calls this before.
    """
    hot(
        _LOCK,
        {
            "store": order.store_id,
            "mode": order.mode,
            "currency": order.settlement_currency,
            "order": order.id,
        },
    )


def refusal_from(order: OrderRecord, row: Mapping[str, Any]) -> LimitReached | AmountAboveLimit | None:
    """The refusal that exposure_refusal answered with, counted for the metrics; None when it refused nothing."""
    if row["limit_name"] is None:
        return None
    name = LimitName(row["limit_name"])
    if name is LimitName.STORE_OPEN:
        name = open_limit(order.mode, order.settlement_currency)[1]
    metrics.exposure_refusals.labels(name.value).inc()
    used, allowed = _shown(name, row["used"], order), _shown(name, row["allowed"], order)
    detail = _WORDS[name].format(used=used, allowed=allowed)
    if name in _VOLUMES and order.settlement_minor > row["allowed"]:
        return AmountAboveLimit(
            f"One payin may hold {allowed} at most.", extra={"limit": name.value, "allowed": allowed}
        )
    scope = name.value.partition("_")[0]
    # What others from the same network do is nothing to this store.
    figures = {} if scope == "network" else {"used": used, "allowed": allowed}
    return LimitReached(
        detail,
        code=f"{scope}_limit_reached",
        retry_after_s=row["retry_s"],
        extra={"limit": name.value} | figures,
    )


def _shown(name: LimitName, figure: int, order: OrderRecord) -> str:
    if name not in _VOLUMES:
        return str(figure)
    exponent = get_currency(order.settlement_currency).exponent
    return f"{format_amount(int(figure), exponent)} {order.settlement_currency}"
