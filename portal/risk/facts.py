"""What rules can ask about an order, and how each fact is found out.

Facts of the order itself cost nothing. Facts about the customer's past are queries, made once and only
when a rule that is on (or in shadow) asks. `orders` is read as a plain table: risk stands below orders.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any
from zoneinfo import ZoneInfo

from portal.core.db import hot
from portal.core.ids import least_id_at
from portal.reference import configuration as config
from portal.reference.queries import get_currency

# A count that stops here answers every sensible rule, and bounds what a rule can cost.
COUNT_CAP = 10_000
STREAK_CAP = 50
_MAX_CLOCK_SKEW = timedelta(minutes=10)


class FactType(StrEnum):
    NUMBER = "number"
    AMOUNT = "amount"  # decimal string in units of the order's currency
    TEXT = "text"
    ADDRESS = "address"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class Fact:
    name: str
    type: FactType
    sentence: str
    has_window: bool = False
    is_queried: bool = False


FACTS = {
    fact.name: fact
    for fact in (
        Fact("amount", FactType.AMOUNT, "Amount of the order in its currency."),
        Fact("currency", FactType.TEXT, "Currency of the order."),
        Fact("direction", FactType.TEXT, "payin or payout."),
        Fact("method", FactType.TEXT, "Method, if it was chosen at creation."),
        Fact("bank", FactType.TEXT, "Bank, if it was chosen at creation."),
        Fact("hour", FactType.NUMBER, "Hour of the day, 0 to 23, in the operator's time zone."),
        Fact("store_age_days", FactType.NUMBER, "Whole days since the store was created.", is_queried=True),
        Fact("has_customer", FactType.FLAG, "The shop named the customer."),
        Fact("has_ip", FactType.FLAG, "The shop named the customer's address."),
        Fact("ip", FactType.ADDRESS, "The customer's address."),
        Fact("email_domain", FactType.TEXT, "What follows the @ of the customer's email."),
        Fact("card_bin", FactType.TEXT, "First six digits of the recipient's card (payouts)."),
        Fact("customer_orders", FactType.NUMBER, "Earlier orders of the customer in this store.", True, True),
        Fact("customer_amount", FactType.AMOUNT, "Their sum in the order's currency.", True, True),
        Fact("customer_completed", FactType.NUMBER, "Completed ones among them.", True, True),
        Fact(
            "customer_unpaid_streak",
            FactType.NUMBER,
            "Payins of the customer that expired since one completed.",
        ),
        Fact("ip_orders", FactType.NUMBER, "Earlier orders from this address, in any store.", True, True),
        Fact("ip_customers", FactType.NUMBER, "Other customers who ordered from this address.", True, True),
    )
}


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """What the caller knows about an order at its creation (`at`, by the database's clock).

    `amount_minor` is in minor units of `currency`. `requisite_index` is the blind index of a payout's
    recipient number, `recipient_bin` its first six digits when it is a card.
    """

    order_id: uuid.UUID
    store_id: uuid.UUID
    mode: str
    direction: str
    amount_minor: int
    currency: str
    at: datetime
    method: str | None = None
    bank: str | None = None
    customer_ref: str | None = None
    customer_ip: str | None = None
    customer_email: str | None = None
    requisite_index: bytes | None = None
    recipient_bin: str | None = None

    @property
    def amount(self) -> Decimal:
        return self.in_units(self.amount_minor)

    def in_units(self, minor: int) -> Decimal:
        """Minor units of the order's currency as a decimal."""
        return Decimal(minor).scaleb(-get_currency(self.currency).exponent)

    @property
    def email_domain(self) -> str | None:
        _, at, domain = (self.customer_email or "").rpartition("@")
        return domain.strip().lower() if at and domain.strip() else None

    @property
    def address(self) -> IPv4Address | IPv6Address | None:
        try:
            address = ip_address(self.customer_ip or "")
        except ValueError:
            return None
        return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


@lru_cache(maxsize=8)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


# The time-ordered id bounds what the index is walked over; created_at decides.
_CUSTOMER = """
SELECT count(*) AS orders,
       coalesce(sum(amount_minor) FILTER (WHERE currency = %(currency)s), 0)::bigint AS amount,
       count(*) FILTER (WHERE status = 'completed') AS completed
  FROM (SELECT amount_minor, currency, status FROM orders
         WHERE store_id = %(store_id)s AND customer_ref = %(customer_ref)s AND mode = %(mode)s
           AND id >= %(from_id)s AND created_at >= %(since)s AND created_at < %(until)s
         ORDER BY id DESC LIMIT %(cap)s) recent
"""
_STREAK = """
SELECT status FROM orders
 WHERE store_id = %(store_id)s AND customer_ref = %(customer_ref)s AND mode = %(mode)s AND direction = 'payin'
   AND status IN ('completed', 'expired') AND created_at < %(until)s
   AND (ended_at IS NULL OR ended_at < %(until)s)
 ORDER BY id DESC LIMIT %(cap)s
"""
_ADDRESS = """
SELECT count(*) AS orders,
       count(DISTINCT (store_id, customer_ref)) FILTER (WHERE customer_ref IS NOT NULL
         AND (store_id, customer_ref) IS DISTINCT FROM (%(store_id)s::uuid, %(customer_ref)s::text))
         AS customers
  FROM (SELECT store_id, customer_ref FROM orders
         WHERE customer_ip = %(ip)s::inet AND mode = %(mode)s
           AND id >= %(from_id)s AND created_at >= %(since)s AND created_at < %(until)s
         ORDER BY id DESC LIMIT %(cap)s) recent
"""

_STORE = "SELECT created_at FROM store WHERE id = %(store_id)s"


def lowest_id(moment: datetime) -> uuid.UUID | None:
    """No id made after `moment` sorts below this one, clocks being a few minutes apart at most."""
    return least_id_at(moment - _MAX_CLOCK_SKEW)


class FactBook:
    """The facts of one order, each found out at most once. None: the order does not tell.

    An order of the past (`is_past`) is judged by what had been before it; a new one also by its neighbours
    of the same moment, whatever the clocks say.
    """

    def __init__(self, order: OrderFacts, *, is_past: bool = False) -> None:
        self._order = order
        self._until = order.at if is_past else order.at + _MAX_CLOCK_SKEW
        self._rows: dict[tuple[str, int], dict[str, Any]] = {}
        self.used: dict[str, str | int | bool | None] = {}

    def value(self, name: str, minutes: int | None = None) -> Any:
        """The value of a fact. Raises whatever its query raises."""
        found = self._find(name, minutes)
        shown = found if isinstance(found, int | bool | None) else str(found)
        self.used[f"{name}/{minutes}min" if minutes else name] = shown
        return found

    def _find(self, name: str, minutes: int | None) -> Any:
        if name in _OWN:
            return _OWN[name](self._order)
        if name == "customer_unpaid_streak":
            return self._streak()
        if name == "store_age_days":
            return self._store_age_days()
        row_name, column = _COUNTED[name]
        row = self._customer(minutes or 0) if row_name == "customer" else self._address(minutes or 0)
        if row is None:
            return None
        if name == "customer_amount":
            return self._order.in_units(row[column])
        return row[column]

    def _params(self, minutes: int) -> dict[str, Any]:
        since = self._order.at - timedelta(minutes=minutes)
        return {
            "store_id": self._order.store_id,
            "customer_ref": self._order.customer_ref,
            "mode": self._order.mode,
            "currency": self._order.currency,
            "from_id": lowest_id(since),
            "since": since,
            "until": self._until,
            "cap": COUNT_CAP,
        }

    def _customer(self, minutes: int) -> dict[str, Any] | None:
        if self._order.customer_ref is None:
            return None
        key = ("customer", minutes)
        if key not in self._rows:
            self._rows[key] = hot(_CUSTOMER, self._params(minutes))[0]
        return self._rows[key]

    def _address(self, minutes: int) -> dict[str, Any] | None:
        if self._order.address is None:
            return None
        key = ("address", minutes)
        if key not in self._rows:
            params = self._params(minutes) | {"ip": str(self._order.address)}
            self._rows[key] = hot(_ADDRESS, params)[0]
        return self._rows[key]

    def _streak(self) -> int | None:
        if self._order.customer_ref is None:
            return None
        key = ("streak", 0)
        if key not in self._rows:
            statuses = [row["status"] for row in hot(_STREAK, self._params(0) | {"cap": STREAK_CAP})]
            unpaid = statuses.index("completed") if "completed" in statuses else len(statuses)
            self._rows[key] = {"streak": unpaid}
        streak: int = self._rows[key]["streak"]
        return streak

    def _store_age_days(self) -> int:
        key = ("store", 0)
        if key not in self._rows:
            self._rows[key] = hot(_STORE, {"store_id": self._order.store_id})[0]
        return int((self._order.at - self._rows[key]["created_at"]).days)


_COUNTED = {
    "customer_orders": ("customer", "orders"),
    "customer_amount": ("customer", "amount"),
    "customer_completed": ("customer", "completed"),
    "ip_orders": ("address", "orders"),
    "ip_customers": ("address", "customers"),
}
_OWN: dict[str, Callable[[OrderFacts], Any]] = {
    "amount": lambda order: order.amount,
    "currency": lambda order: order.currency,
    "direction": lambda order: order.direction,
    "method": lambda order: order.method,
    "bank": lambda order: order.bank,
    "hour": lambda order: order.at.astimezone(_zone(config.get(config.DAY_TIMEZONE))).hour,
    "has_customer": lambda order: order.customer_ref is not None,
    "has_ip": lambda order: order.address is not None,
    "ip": lambda order: order.address,
    "email_domain": lambda order: order.email_domain,
    "card_bin": lambda order: order.recipient_bin,
}
