"""What people say of themselves: their name, language and zone."""

from __future__ import annotations

import uuid
from functools import lru_cache
from zoneinfo import available_timezones

from portal.core.db import db
from portal.core.errors import NotFound, ValidationFailed
from portal.core.text_rules import is_clean
from portal.identity.models import User

LONGEST_NAME = 80


@lru_cache(maxsize=1)
def zones() -> tuple[str, ...]:
    """The zones one can choose, by name."""
    groups = (
        "Africa/",
        "America/",
        "Antarctica/",
        "Asia/",
        "Atlantic/",
        "Australia/",
        "Europe/",
        "Indian/",
        "Pacific/",
    )
    return ("UTC", *sorted(zone for zone in available_timezones() if zone.startswith(groups)))


def change_profile(
    user_id: uuid.UUID, *, name: str | None = None, locale: str | None = None, timezone: str | None = None
) -> None:
    """Change what is given. Needs transaction(). Raises ValidationFailed (name, timezone), NotFound."""
    user = db.session.get(User, user_id)
    if user is None:
        raise NotFound("There is no such login.")
    if name is not None:
        clean = " ".join(name.split())
        if not 0 < len(clean) <= LONGEST_NAME or not is_clean(clean):
            raise ValidationFailed.of("name", "length", "A name has 1 to 80 characters.")
        user.name = clean
    if timezone is not None:
        if timezone not in zones():
            raise ValidationFailed.of("timezone", "unknown", "There is no such time zone.")
        user.timezone = timezone
    if locale is not None:
        user.locale = locale
    db.session.flush()
