"""What will happen to each simulated order, decided when it is created: the same seed gives the same orders."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum


class Fate(StrEnum):
    PAID = "paid"  # the customer pays and says so, the trader confirms
    PARTIAL = "partial"  # another amount comes, the trader reports it, the customer agrees
    ABANDONED = "abandoned"  # the customer closes the page
    LATE = "late"  # the customer pays after the time is over
    CANCELLED = "cancelled"  # the customer changes their mind
    DISPUTED = "disputed"  # the customer says they paid, the trader sees nothing
    PAYOUT = "payout"


# Parts of a hundred.
SHARES = {
    Fate.PAID: 60,
    Fate.PARTIAL: 7,
    Fate.ABANDONED: 8,
    Fate.LATE: 3,
    Fate.CANCELLED: 4,
    Fate.DISPUTED: 3,
    Fate.PAYOUT: 15,
}
# Method and bank of a payin; None leaves the choice to the customer. Weights are parts of a hundred.
_ROADS: tuple[tuple[int, str, str | None, str | None, int, int], ...] = (
    (38, "RUB", "card", None, 50_000, 1_500_000),
    (17, "RUB", None, None, 50_000, 1_500_000),
    (12, "RUB", "sbp", "sber", 50_000, 1_500_000),
    (10, "KZT", "card", None, 300_000, 8_000_000),
    (8, "UZS", "card", None, 5_000_000, 90_000_000),
    (8, "EUR", "sepa", None, 1_000, 40_000),
    (7, "INR", "upi", None, 50_000, 1_500_000),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """One order to be. Amounts are minor units (all these currencies have two decimals); `pause_s` is thinking."""

    number: int
    fate: Fate
    currency: str
    method: str | None
    bank: str | None
    amount_minor: int
    received_minor: int
    pause_s: float


class Planner:
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self._count = 0

    def next(self) -> Plan:
        chosen = self._random
        self._count += 1
        fate = chosen.choices(list(SHARES), list(SHARES.values()))[0]
        roads = [road for road in _ROADS if fate is not Fate.PAYOUT or road[2] is not None]
        _, currency, method, bank, least, most = chosen.choices(roads, [road[0] for road in roads])[0]
        amount = chosen.randrange(least, most)
        part = chosen.choice((0.5, 0.9, 0.98, 0.995, 1.02))
        received = int(amount * part) if fate is Fate.PARTIAL else amount
        return Plan(self._count, fate, currency, method, bank, amount, received, chosen.uniform(0.2, 3.0))


def as_text(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02d}"
