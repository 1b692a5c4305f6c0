"""What people say of themselves: their name, language and zone."""

from __future__ import annotations

import uuid
from functools import lru_cache
from zoneinfo import available_timezones

from portal.audit.service import record_audit
from portal.core.actors import Actor
from portal.core.db import db
from portal.core.errors import NotFound, ValidationFailed
from portal.core.text_rules import name_of
from portal.identity.models import User


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
    user_id: uuid.UUID,
    *,
    actor: Actor,
    name: str | None = None,
    locale: str | None = None,
    timezone: str | None = None,
) -> None:
    """Change what is given. Needs transaction(). Raises ValidationFailed (name, timezone), NotFound. Locks the login."""
    user = db.session.get(User, user_id, with_for_update={"key_share": True})
    if user is None:
        raise NotFound("There is no such login.")
    before = _said(user)
    if name is not None:
        user.name = name_of(name)
    if timezone is not None:
        if timezone not in zones():
            raise ValidationFailed.of("timezone", "unknown", "There is no such time zone.")
        user.timezone = timezone
    if locale is not None:
        user.locale = locale
    db.session.flush()
    after = _said(user)
    if before != after:
        record_audit(
            "user.profile_changed", actor=actor, subject=("user", user_id), before=before, after=after
        )


def _said(user: User) -> dict[str, str]:
    return {"name": user.name, "locale": user.locale, "timezone": user.timezone}
