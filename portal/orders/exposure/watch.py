"""How near stores are to their limits of exposure, and telling the administrators before one is reached."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from portal.core.db import hot, transaction
from portal.core.modes import Mode
from portal.core.money import format_amount
from portal.identity.models import Role
from portal.identity.people.audience import list_holders
from portal.mail.links import merchant_page
from portal.merchants.queries import find_store
from portal.notifications.models import NotificationKind
from portal.notifications.service import Notice, tell
from portal.orders.exposure.limits import LimitName, open_limit
from portal.reference import configuration as config
from portal.reference.queries import get_currency

TOLD_FROM_PERCENT = 90

# A requisite counts in the hour in which it was shown, what was paid also in the hour after.
_FIGURES = """
SELECT store_id, currency, sum(open_minor)::bigint AS open_minor, sum(claimed_minor)::bigint AS claimed_minor,
       coalesce(sum(shown) FILTER (WHERE hour = h.this), 0)::bigint AS shown,
       sum(CASE WHEN hour = h.this THEN paid + paid_before WHEN hour = h.this - interval '1 hour' THEN paid ELSE 0 END)::bigint AS paid
  FROM exposure, (SELECT date_trunc('hour', now()) AS this) h WHERE mode = 'live' GROUP BY store_id, currency
"""
_HOUR = "SELECT date_trunc('hour', now()) AS hour"


@dataclass(frozen=True, slots=True)
class Nearness:
    """How much of one limit one store has used: minor units of `currency`, or requisites where it is None."""

    store_id: uuid.UUID
    limit: LimitName
    used: int
    allowed: int
    currency: str | None

    @property
    def ratio(self) -> float:
        return self.used / max(self.allowed, 1)

    def words(self, figure: int) -> str:
        if self.currency is None:
            return str(figure)
        return f"{format_amount(figure, get_currency(self.currency).exponent)} {self.currency}"


def list_nearness() -> Iterator[Nearness]:
    """Every store with live payins, against each of its limits."""
    for row in hot(_FIGURES):
        store, currency = row["store_id"], row["currency"]
        most, name = open_limit(Mode.LIVE, currency)
        yield Nearness(store, name, row["open_minor"], most, currency)
        claimed = config.get(config.EXPOSURE_STORE_CLAIMED) * 10 ** get_currency(currency).exponent
        yield Nearness(store, LimitName.STORE_CLAIMED, row["claimed_minor"], claimed, currency)
        shown = config.get(config.EXPOSURE_STORE_REQUISITES)
        shown += row["paid"] * config.get(config.EXPOSURE_REQUISITES_PER_PAID)
        yield Nearness(store, LimitName.STORE_REQUISITES, row["shown"], shown, None)


def highest_ratios() -> dict[LimitName, float]:
    """Of each limit of stores, the part of it that the nearest store has used."""
    highest: dict[LimitName, float] = {}
    for one in list_nearness():
        highest[one.limit] = max(highest.get(one.limit, 0.0), one.ratio)
    return highest


def tell_of_exposure() -> int:
    """Tell the administrators of stores that have used nine tenths of a limit, of each once an hour; how many were told.

    Opens its own transaction.
    """
    with transaction():
        near: dict[uuid.UUID, Nearness] = {}
        for one in list_nearness():
            if 100 * one.used >= TOLD_FROM_PERCENT * one.allowed:
                near[one.store_id] = max(near.get(one.store_id, one), one, key=lambda found: found.ratio)
        if not near:
            return 0
        hour = hot(_HOUR)[0]["hour"].isoformat()
        admins = list_holders(Role.ADMIN)
        return tell([notice for one in near.values() for notice in _notices(one, hour, admins)])


def _notices(one: Nearness, hour: str, admins: list[uuid.UUID]) -> Iterator[Notice]:
    store = find_store(one.store_id)
    if store is None:
        return
    params = {
        "store": store.name, "limit": f"exposure_{one.limit}" + "_percent" * (one.limit is LimitName.STORE_SHARE),
        "used": one.words(one.used), "allowed": one.words(one.allowed),
    }  # fmt: skip
    link = merchant_page(store.merchant_id)
    for admin in admins:
        yield Notice(admin, NotificationKind.EXPOSURE_HIGH, f"{one.store_id} {hour}", params, link)
