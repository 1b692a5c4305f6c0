"""Reading a person's own notifications and choices."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from portal.core.db import hot
from portal.core.errors import NotFound
from portal.identity.models import Role
from portal.notifications.kinds import TELLINGS, kinds_for
from portal.notifications.models import NotificationKind

COUNTED_TO = 99

_COUNT = """
SELECT count(*) AS n FROM (
    SELECT 1 FROM notification WHERE user_id = %(user)s AND is_in_app AND read_at IS NULL LIMIT %(limit)s
) unread
"""

_LIST = """
SELECT id, kind, params, link, created_at, read_at FROM notification
WHERE user_id = %(user)s AND is_in_app AND (%(after)s::uuid IS NULL OR id < %(after)s::uuid)
ORDER BY id DESC LIMIT %(limit)s
"""

_UNREAD_ABOUTS = """
SELECT DISTINCT about FROM notification WHERE kind = %(kind)s AND is_in_app AND read_at IS NULL
"""

_LINK = "SELECT link FROM notification WHERE id = %(id)s AND user_id = %(user)s AND is_in_app"

_CHOICES = "SELECT kind, in_app, by_mail FROM notification_choice WHERE user_id = %(user)s"


@dataclass(frozen=True, slots=True)
class NotificationLine:
    """One notification as its owner sees it. Times are UTC."""

    id: uuid.UUID
    kind: NotificationKind
    params: dict[str, str]
    link: str
    created_at: datetime
    read_at: datetime | None


@dataclass(frozen=True, slots=True)
class Choice:
    kind: NotificationKind
    in_app: bool
    by_mail: bool


def count_unread(user_id: uuid.UUID) -> int:
    """How many are unread, counted up to COUNTED_TO + 1: from there on it is "more"."""
    return int(hot(_COUNT, {"user": user_id, "limit": COUNTED_TO + 1})[0]["n"])


def list_notifications(
    user_id: uuid.UUID, *, after: uuid.UUID | None = None, limit: int = 50
) -> list[NotificationLine]:
    """A person's notifications, newest first, those that come after the one of this id."""
    rows = hot(_LIST, {"user": user_id, "after": after, "limit": limit})
    return [NotificationLine(**row | {"kind": NotificationKind(row["kind"])}) for row in rows]


def list_unread_abouts(kind: NotificationKind) -> list[str]:
    """What the bells still tell of this kind, whosever they are."""
    return [str(row["about"]) for row in hot(_UNREAD_ABOUTS, {"kind": kind.value})]


def get_link(user_id: uuid.UUID, notification_id: uuid.UUID) -> str:
    """Where one of a person's own notifications leads. Raises NotFound for a stranger's."""
    rows = hot(_LINK, {"id": notification_id, "user": user_id})
    if not rows:
        raise NotFound()
    return str(rows[0]["link"])


def list_choices(user_id: uuid.UUID, roles: tuple[Role, ...]) -> list[Choice]:
    """How somebody is told of each kind that concerns their roles: as chosen, else the default."""
    chosen = {row["kind"]: row for row in hot(_CHOICES, {"user": user_id})}
    return [
        Choice(kind, row["in_app"], row["by_mail"])
        if (row := chosen.get(kind.value))
        else Choice(kind, TELLINGS[kind].in_app, TELLINGS[kind].by_mail)
        for kind in kinds_for(roles)
    ]
