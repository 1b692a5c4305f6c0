"""Lists whose figures come from several places: sorted and cut into pages here, by the same kind of cursor."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

from flask_babel import gettext as _

from portal.web.listing import Asked

DEFAULT_PERIOD = "day"
_DAYS = {"day": 1, "week": 7, "month": 30}


class HasId(Protocol):
    @property
    def id(self) -> uuid.UUID: ...


Line = TypeVar("Line", bound=HasId)


def page_of(lines: Iterable[Line], key: Callable[[Line], Any], asked: Asked) -> list[Line]:
    """The asked page. The cursor is the id of the line before it; when that line is gone, the list begins anew."""
    ordered = sorted(lines, key=lambda line: (key(line), line.id), reverse=asked.is_descending)
    start = 0
    if asked.after:
        start = next((at + 1 for at, line in enumerate(ordered) if str(line.id) == asked.after[0]), 0)
    return ordered[start : start + asked.limit]


def cursor_of(line: HasId, _asked: Asked) -> tuple[str, ...]:
    return (str(line.id),)


def period_choices() -> Sequence[tuple[str, str]]:
    return (("week", _("Last 7 days")), ("month", _("Last 30 days")))


def since_of(period: str | None) -> datetime:
    """When the asked period begins; the last 24 hours where none is asked for."""
    return datetime.now(UTC) - timedelta(days=_DAYS.get(period or DEFAULT_PERIOD, 1))
