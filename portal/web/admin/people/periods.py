"""The period whose turnover a list shows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from flask_babel import gettext as _

DEFAULT_PERIOD = "day"
_DAYS = {"day": 1, "week": 7, "month": 30}


def period_choices() -> Sequence[tuple[str, str]]:
    return (("week", _("Last 7 days")), ("month", _("Last 30 days")))


def since_of(period: str | None) -> datetime:
    """When the asked period begins; the last 24 hours where none is asked for."""
    return datetime.now(UTC) - timedelta(days=_DAYS.get(period or DEFAULT_PERIOD, 1))
