"""What the home pages say of orders: one statement, whose time does not grow with the number of orders.

It looks at the orders created since yesterday's midnight in the viewer's zone, the newest `LOOKED_AT` of them
at most; where there are more, `whole_from` says from when on the figures are whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from portal.core.db import hot
from portal.core.ids import least_id_at
from portal.core.modes import Mode
from portal.orders.figures.open_orders import COUNTED_TO
from portal.orders.models import ENDED, Direction, Status
from portal.orders.order_list import OrderLine, Whose, line_from_json, statement_of

LOOKED_AT = 10_000

_SEEN = (
    "o.id, o.created_at, o.direction, o.status, o.status_reason, o.trader_id, o.settlement_minor, o.fee_minor,"
    " o.settlement_currency, o.claimed_at, o.ended_at"
)
_HOME = """
WITH seen AS MATERIALIZED ({seen}), grouped AS (
  SELECT date_trunc('hour', created_at, %(zone)s) AS hour, created_at < %(day_ago)s AS by_now, direction, status,
         settlement_currency AS currency, count(*) AS orders, sum(settlement_minor)::bigint AS settlement_minor,
         sum(fee_minor)::bigint AS fee_minor
    FROM seen GROUP BY 1, 2, 3, 4, 5
)
SELECT (SELECT coalesce(jsonb_agg(to_jsonb(g)), '[]') FROM grouped g) AS groups,
       (SELECT count(*) FROM seen) AS looked_at, (SELECT min(created_at) FROM seen) AS oldest,
       (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM ended_at - claimed_at)) FROM seen
         WHERE direction = 'payin' AND status = 'completed' AND claimed_at IS NOT NULL AND created_at >= %(today)s)
         AS median_confirm_s,
       (SELECT coalesce(jsonb_object_agg(r.reason, r.n), '{{}}') FROM (
         SELECT coalesce(status_reason, '') AS reason, count(*) AS n FROM seen
          WHERE status IN ('failed', 'expired') AND trader_id IS NULL AND created_at >= %(today)s GROUP BY 1) r)
         AS unmatched,
       (SELECT coalesce(jsonb_agg(to_jsonb(l)), '[]') FROM ({latest}) l) AS latest,
       (SELECT count(*) FROM ({disputed}) d) AS disputed
"""
_DISPUTED = {
    "all": "SELECT 1 FROM orders o WHERE o.status = 'disputed' AND o.mode = %(mode)s LIMIT %(counted_to)s",
    "stores": "SELECT 1 FROM orders o WHERE o.store_id = ANY(%(owners)s::uuid[]) AND o.mode = %(mode)s"
    " AND o.status = 'disputed' LIMIT %(counted_to)s",
    "traders": "SELECT 1 FROM orders o WHERE o.trader_id = ANY(%(owners)s::uuid[]) AND o.mode = %(mode)s"
    " AND o.status = 'disputed' LIMIT %(counted_to)s",
}


@dataclass(frozen=True, slots=True)
class Group:
    """Orders that were created in one hour and are alike. Amounts in minor units of `currency` (settlement).

    `by_now`: created earlier than this time yesterday.
    """

    hour: datetime
    by_now: bool
    direction: str
    status: str
    currency: str
    orders: int
    settlement_minor: int
    fee_minor: int


@dataclass(frozen=True, slots=True)
class Share:
    """Some of the orders, added up: how many, how many came to their end and well, and what those moved."""

    orders: int
    completed: int
    ended: int
    settlement_minor: int
    fee_minor: int

    @property
    def conversion(self) -> float | None:
        """Completed of all that ended, 0 to 1; None while none has."""
        return self.completed / self.ended if self.ended else None


@dataclass(frozen=True, slots=True)
class DayFigures:
    """`disputed` is counted up to COUNTED_TO + 1. `unmatched`: how many found no trader today, by reason."""

    now: datetime
    today_from: datetime
    whole_from: datetime
    is_whole: bool
    groups: tuple[Group, ...]
    median_confirm_s: float | None
    unmatched: dict[str, int]
    latest: tuple[OrderLine, ...]
    disputed: int

    @property
    def currencies(self) -> list[str]:
        """The settlement currencies that moved, the one with most orders first."""
        counted: dict[str, int] = {}
        for group in self.groups:
            counted[group.currency] = counted.get(group.currency, 0) + group.orders
        return sorted(counted, key=lambda code: -counted[code])

    def today(self, currency: str | None = None, direction: Direction | None = None) -> Share:
        return self._share(lambda group: group.hour >= self.today_from, currency, direction)

    def yesterday_by_now(self, currency: str | None = None, direction: Direction | None = None) -> Share:
        """Yesterday up to this time of the day."""
        return self._share(lambda group: group.by_now and group.hour < self.today_from, currency, direction)

    def per_hour(self, currency: str, hours: int = 24) -> list[tuple[datetime, Share]]:
        """The last hours, oldest first, empty ones too; in the zone that was asked for."""
        zone = self.today_from.tzinfo
        last = self.now.astimezone(zone).replace(minute=0, second=0, microsecond=0).astimezone(UTC)
        starts = [last - timedelta(hours=back) for back in range(hours - 1, -1, -1)]
        return [
            (start.astimezone(zone), self._hour(start, currency))
            for start in starts
            if start >= self.whole_from - timedelta(hours=1)
        ]

    def _hour(self, start: datetime, currency: str) -> Share:
        return self._share(lambda group: group.hour == start, currency, None)

    def _share(
        self, is_meant: Callable[[Group], bool], currency: str | None, direction: Direction | None
    ) -> Share:
        return _sum(
            group
            for group in self.groups
            if is_meant(group) and currency in {None, group.currency} and direction in {None, group.direction}
        )


def _sum(groups: Iterable[Group]) -> Share:
    orders = completed = ended = settlement = fee = 0
    for group in groups:
        orders += group.orders
        ended += group.orders if group.status in ENDED else 0
        if group.status == Status.COMPLETED:
            completed += group.orders
            settlement += group.settlement_minor
            fee += group.fee_minor
    return Share(orders, completed, ended, settlement, fee)


def read_day(whose: Whose, mode: Mode, zone: ZoneInfo, latest: int = 8) -> DayFigures:
    """What happened today and yesterday to these people's orders, and the newest of them. One statement."""
    now = datetime.now(UTC)
    today = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    since = (today - timedelta(hours=12)).replace(hour=0)
    kind = "stores" if whose.stores is not None else "all" if whose.traders is None else "traders"
    sql = _HOME.format(
        seen=statement_of(
            whose, _SEEN, " AND o.id >= %(id_since)s AND o.created_at >= %(since)s",
            "ORDER BY o.id DESC LIMIT %(looked_at)s",
        ),
        latest=statement_of(whose, end="ORDER BY o.id DESC LIMIT %(latest)s"),
        disputed=_DISPUTED[kind],
    )  # fmt: skip
    params = {
        "zone": zone.key, "since": since, "today": today, "day_ago": now - timedelta(days=1),
        "id_since": least_id_at(since, -60), "owners": whose.owners, "mode": mode.value,
        "looked_at": LOOKED_AT, "latest": latest, "counted_to": COUNTED_TO + 1,
    }  # fmt: skip
    row = hot(sql, params)[0]
    is_whole = row["looked_at"] < LOOKED_AT
    return DayFigures(
        now, today, since if is_whole else row["oldest"], is_whole,
        tuple(_group(group, zone) for group in row["groups"]),
        None if row["median_confirm_s"] is None else float(row["median_confirm_s"]),
        row["unmatched"], tuple(line_from_json(line) for line in row["latest"]), int(row["disputed"]),
    )  # fmt: skip


def _group(values: dict[str, Any], zone: ZoneInfo) -> Group:
    return Group(**values | {"hour": datetime.fromisoformat(values["hour"]).astimezone(zone)})
