"""How old the rates are, told while there is still time: an order is refused once its rate is stale."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from portal.core.db import hot, transaction
from portal.identity.models import Role
from portal.identity.people.audience import list_holders
from portal.mail.links import ADMIN_HOME
from portal.notifications.models import NotificationKind
from portal.notifications.queries import list_unread_abouts
from portal.notifications.service import notify, settle
from portal.reference import configuration as config


class Age(StrEnum):
    """What a pair's rate is good for. `ageing`: orders are taken, and will not be soon; `missing`: never had one."""

    FRESH = "fresh"
    AGEING = "ageing"
    STALE = "stale"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class RateAge:
    """The rate of one active pair of active currencies; ages in seconds by the database's clock."""

    base: str
    quote: str
    source_kind: str
    last_error: str | None
    stale_after_s: int
    observed_at: datetime | None
    age_s: float | None
    stale_at: datetime | None

    @property
    def pair(self) -> str:
        return f"{self.base}/{self.quote}"

    @property
    def age(self) -> Age:
        if self.age_s is None:
            return Age.MISSING
        if self.age_s > self.stale_after_s:
            return Age.STALE
        warns_at_s = self.stale_after_s * config.get(config.RATE_WARNS_AT_PERCENT) / 100
        return Age.AGEING if self.age_s > warns_at_s else Age.FRESH

    @property
    def cure(self) -> str:
        """What an operator does about it."""
        if self.source_kind == "manual":
            return f"Run: flask rates set {self.quote} RATE --base {self.base}"
        why = f" Its feed last said: {self.last_error}." if self.last_error else " Does the clock run?"
        return f"Run: flask rates refresh {self.quote} --base {self.base}.{why}"


_AGES = """
SELECT p.base, p.quote, p.source_kind, p.last_error, p.stale_after_s, p.observed_at,
       CASE WHEN p.observed_at IS NOT NULL  -- greatest() takes no notice of NULL
            THEN greatest(extract(epoch FROM clock_timestamp() - p.observed_at), 0)::float8 END AS age_s,
       p.observed_at + make_interval(secs => p.stale_after_s) AS stale_at
FROM rate_pair p JOIN currency b ON b.code = p.base JOIN currency q ON q.code = p.quote
WHERE p.is_active AND b.is_active AND q.is_active ORDER BY p.base, p.quote
"""


def list_rate_ages() -> list[RateAge]:
    """Every pair that orders may need, with or without a rate. One statement, past the snapshot in memory."""
    return [RateAge(**row) for row in hot(_AGES)]


def rates_progress() -> str:
    """`ok`, or which rates are stale or ageing."""
    ages = list_rate_ages()
    stale, ageing = _pairs(ages, Age.STALE), _pairs(ages, Age.AGEING)
    said = [f"{word}: {', '.join(pairs)}" for word, pairs in (("stale", stale), ("ageing", ageing)) if pairs]
    return "; ".join(said) or "ok"


def _pairs(ages: Iterable[RateAge], age: Age) -> list[str]:
    return [one.pair for one in ages if one.age is age]


def tell_of_ageing_rates() -> int:
    """Tell administrators of each rate that ages or is stale, once until the pair has a fresh one; how many.

    Bells that tell of rates which are fresh again become silent. Opens its own transaction.
    """
    with transaction():
        old = {
            f"{one.pair} {one.observed_at:%Y-%m-%dT%H:%M:%S.%f}": one
            for one in list_rate_ages()
            if one.age in {Age.AGEING, Age.STALE}
        }
        over = [about for about in list_unread_abouts(NotificationKind.RATE_AGEING) if about not in old]
        if over:
            settle([NotificationKind.RATE_AGEING], over)
        admins = list_holders(Role.ADMIN) if old else []
        return sum(_tell(admins, about, one) for about, one in old.items())


def _tell(admins: Iterable[uuid.UUID], about: str, one: RateAge) -> int:
    assert one.stale_at is not None
    params = {"pair": one.pair, "at": one.stale_at.isoformat()}
    return notify(admins, NotificationKind.RATE_AGEING, params, ADMIN_HOME, about=about)
