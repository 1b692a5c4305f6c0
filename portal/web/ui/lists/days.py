"""The two fields that narrow a list to days. Days are those of the viewer's zone, and the last one counts."""

from __future__ import annotations

from datetime import datetime, timedelta

from flask_babel import lazy_gettext as _l

from portal.web.shell.languages import current_timezone
from portal.web.ui.lists.declaration import Asked, Filter, Kind, day_of


def day_filters(former: tuple[str, str] = ("", "")) -> tuple[Filter, Filter]:
    """`former` are the names that the two had in this list's addresses before."""
    return (
        Filter("from", _l("From"), Kind.DATE, former=former[0]),
        Filter("to", _l("To"), Kind.DATE, former=former[1]),
    )


def period_of(asked: Asked) -> tuple[datetime | None, datetime | None]:
    """The first moment that is asked for, and the first that no longer is."""
    last = _midnight(asked.get("to"))
    # On the clock, not in hours: a day may have 23 or 25.
    return _midnight(asked.get("from")), last + timedelta(days=1) if last else None


def _midnight(text: str | None) -> datetime | None:
    day = day_of(text) if text else None
    return datetime(day.year, day.month, day.day, tzinfo=current_timezone()) if day else None
