"""What the home pages draw from the figures: comparisons in words, and the points of a chart."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import NamedTuple

from flask_babel import gettext as _

from portal.core.answer_cache import answers
from portal.core.modes import Mode
from portal.orders.figures.day import DayFigures, Share
from portal.orders.figures.open_orders import count_open_up_to
from portal.reference.queries import default_settlement_currency, get_currency
from portal.web.ui.formats import number_text, percent_text, time_text


@answers.cached(timeout=5, make_cache_key=lambda mode: f"home:open:{mode.value}")
def open_by_status(mode: Mode) -> dict[str, int]:
    """`count_open_up_to` of a few seconds ago: every home of staff says it, and it looks at all open orders."""
    return count_open_up_to(mode)


class ChangeWords(NamedTuple):
    """How a figure stands against the time before; `is_good` is None where more is neither."""

    words: str
    way: str
    is_good: bool | None


def change(now: float, before: float, *, more_is_good: bool | None = True) -> ChangeWords | None:
    """In percent of what was; None where there was nothing to compare with."""
    if not before:
        return None
    share = (now - before) / before
    if abs(share) < 0.005:
        return ChangeWords(_("as yesterday"), "same", None)
    way = "up" if share > 0 else "down"
    is_good = None if more_is_good is None else (share > 0) == more_is_good
    return ChangeWords(percent_text(abs(share), 0), way, is_good)


def points(now: float | None, before: float | None) -> ChangeWords | None:
    """The difference of two shares, in percentage points."""
    if now is None or before is None:
        return None
    difference = (now - before) * 100
    if abs(difference) < 0.05:
        return ChangeWords(_("as yesterday"), "same", None)
    words = _("%(number)s points", number=number_text(round(abs(difference), 1)))
    return ChangeWords(words, "up" if difference > 0 else "down", difference > 0)


@dataclass(frozen=True, slots=True)
class Day:
    """Today beside yesterday up to this time of the day, in one settlement currency."""

    currency: str
    today: Share
    yesterday: Share | None

    @property
    def orders(self) -> ChangeWords | None:
        return change(self.today.orders, self.yesterday.orders) if self.yesterday else None

    @property
    def volume(self) -> ChangeWords | None:
        return (
            change(self.today.settlement_minor, self.yesterday.settlement_minor) if self.yesterday else None
        )

    @property
    def conversion(self) -> ChangeWords | None:
        return points(self.today.conversion, self.yesterday.conversion) if self.yesterday else None


def main_currency(figures: DayFigures) -> str:
    """The settlement currency in which most moved, or the house's own where nothing did."""
    return figures.currencies[0] if figures.currencies else default_settlement_currency()


def day_of(figures: DayFigures, currency: str | None) -> Day:
    yesterday = figures.yesterday_by_now(currency) if figures.is_whole else None
    return Day(currency or "", figures.today(currency), yesterday)


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart: its name and a value for each label."""

    name: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """Values over labels, in `unit`; drawn by the macro, with the same figures as a table behind it."""

    labels: tuple[str, ...]
    series: tuple[Series, ...]
    unit: str
    decimals: int = 0

    @property
    def data(self) -> str:
        """What the script draws."""
        return json.dumps(
            {
                "labels": self.labels,
                "series": [{"name": line.name, "values": line.values} for line in self.series],
                "unit": self.unit,
                "from": _("From"),
                "decimals": self.decimals,
            }
        )

    @property
    def is_empty(self) -> bool:
        return not any(any(line.values) for line in self.series)


def volume_chart(figures: DayFigures, currency: str) -> Chart:
    """Completed volume of the last 24 hours, hour by hour, in whole and hundredth units."""
    unit = 10 ** get_currency(currency).exponent
    hours = figures.per_hour(currency)
    return Chart(
        tuple(time_text(start)[:5] for start, _share in hours),
        (Series(_("Completed"), tuple(round(share.settlement_minor / unit, 2) for _start, share in hours)),),
        currency,
        2,
    )


def flow_chart(figures: DayFigures, currency: str) -> Chart:
    """Orders of the last 24 hours, hour by hour: created, and completed of those."""
    hours = figures.per_hour(currency)
    return Chart(
        tuple(time_text(start)[:5] for start, _share in hours),
        (
            Series(_("Created"), tuple(share.orders for _start, share in hours)),
            Series(_("Completed"), tuple(share.completed for _start, share in hours)),
        ),
        _("orders"),
    )
