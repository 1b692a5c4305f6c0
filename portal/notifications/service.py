"""Telling people, and noting what they have read and how they want to be told."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from portal.core.db import after_commit, hot
from portal.core.ids import new_id
from portal.core.live import nudge
from portal.mail.kinds import SHAPES
from portal.mail.service import queue_mail
from portal.notifications.kinds import TELLINGS
from portal.notifications.models import NotificationKind


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell one person. `about` names the thing among those of its kind: it is told once.

    `params` are those of the kind's mail without the link; `link` is a path of this house.
    """

    user_id: uuid.UUID
    kind: NotificationKind
    about: str
    params: Mapping[str, str]
    link: str


# Whoever chose neither way is not told, and gets no row.
_TELL = """
WITH told AS (
    SELECT * FROM unnest(
        %(ids)s::uuid[], %(users)s::uuid[], %(kinds)s::text[], %(abouts)s::text[], %(params)s::jsonb[],
        %(links)s::text[], %(in_app)s::bool[], %(by_mail)s::bool[]
    ) AS t(id, user_id, kind, about, params, link, in_app, by_mail)
), wanted AS (
    SELECT t.id, t.user_id, t.kind, t.about, t.params, t.link, u.email, u.locale,
           coalesce(c.in_app, t.in_app) AS in_app, coalesce(c.by_mail, t.by_mail) AS by_mail
    FROM told t JOIN users u ON u.id = t.user_id AND u.is_active
    LEFT JOIN notification_choice c ON c.user_id = t.user_id AND c.kind = t.kind
), written AS (
    INSERT INTO notification (id, user_id, kind, about, params, link, is_in_app)
    SELECT id, user_id, kind, about, params, link, in_app FROM wanted WHERE in_app OR by_mail
    ON CONFLICT (user_id, kind, about) DO NOTHING
    RETURNING id
)
SELECT w.id, w.user_id, w.email, w.locale, w.in_app, w.by_mail FROM wanted w JOIN written USING (id)
"""

_READ = """
UPDATE notification SET read_at = clock_timestamp()
WHERE user_id = %(user)s AND is_in_app AND read_at IS NULL
  AND (%(id)s::uuid IS NULL OR id = %(id)s::uuid)
RETURNING id
"""

_SETTLE = """
UPDATE notification SET read_at = clock_timestamp()
WHERE about = ANY(%(abouts)s::text[]) AND kind = ANY(%(kinds)s::text[]) AND is_in_app AND read_at IS NULL
RETURNING user_id
"""

_CHOOSE = """
INSERT INTO notification_choice (user_id, kind, in_app, by_mail)
VALUES (%(user)s, %(kind)s, %(in_app)s, %(by_mail)s)
ON CONFLICT (user_id, kind) DO UPDATE SET in_app = excluded.in_app, by_mail = excluded.by_mail
"""

_FORGET = """
DELETE FROM notification WHERE id IN (
    SELECT id FROM notification WHERE created_at < clock_timestamp() - make_interval(days => %(days)s::int)
    LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
RETURNING id
"""

KEPT_DAYS = 90


def notify(
    user_ids: Iterable[uuid.UUID],
    kind: NotificationKind,
    params: Mapping[str, str],
    link: str,
    *,
    about: str,
) -> int:
    """Tell these people of one thing, each as they chose; see `tell`. Needs transaction()."""
    return tell([Notice(user_id, kind, about, params, link) for user_id in dict.fromkeys(user_ids)])


def tell(notices: Sequence[Notice]) -> int:
    """Write what is new among these in one statement, queue the mails, and nudge the bells after the commit.

    What was told before is not told again; disabled people and those who chose neither way are left out.
    Returns how many were told. Raises ValueError when a parameter is missing. Needs transaction().
    """
    if not notices:
        return 0
    by_id = {new_id(): notice for notice in notices}
    for notice in notices:
        _check(notice)
    written = hot(_TELL, _columns(by_id))
    for row in written:
        if row["by_mail"]:
            notice = by_id[row["id"]]
            params = dict(notice.params) | {"link": notice.link}
            queue_mail(row["email"], TELLINGS[notice.kind].mail, row["locale"], params)
    _nudge(row["user_id"] for row in written if row["in_app"])
    return len(written)


def _check(notice: Notice) -> None:
    needed = SHAPES[TELLINGS[notice.kind].mail].names - {"link"}
    if notice.params.keys() != needed:
        raise ValueError(f"a notification of kind {notice.kind} needs exactly {sorted(needed)}")
    if not notice.link.startswith("/") or notice.link.startswith("//"):
        raise ValueError("the link of a notification is a path of this house")


def _columns(by_id: Mapping[uuid.UUID, Notice]) -> dict[str, Any]:
    notices = list(by_id.values())
    return {
        "ids": list(by_id),
        "users": [notice.user_id for notice in notices],
        "kinds": [notice.kind.value for notice in notices],
        "abouts": [notice.about for notice in notices],
        "params": [orjson.dumps(dict(notice.params)).decode() for notice in notices],
        "links": [notice.link for notice in notices],
        "in_app": [TELLINGS[notice.kind].in_app for notice in notices],
        "by_mail": [TELLINGS[notice.kind].by_mail for notice in notices],
    }


def mark_read(user_id: uuid.UUID, notification_id: uuid.UUID | None = None) -> int:
    """Mark one of a person's notifications as read, or all of them; returns how many were unread.

    A stranger's id, or one that is read already, changes nothing. Needs transaction().
    """
    read = len(hot(_READ, {"user": user_id, "id": notification_id}))
    if read:
        _nudge([user_id])
    return read


def settle(kinds: Iterable[NotificationKind], abouts: Iterable[str]) -> int:
    """Mark as read, for everybody, what calls for nothing any more; returns how many. Needs transaction()."""
    values = {"kinds": [kind.value for kind in kinds], "abouts": list(abouts)}
    settled = hot(_SETTLE, values)
    _nudge(row["user_id"] for row in settled)
    return len(settled)


def choose(user_id: uuid.UUID, kind: NotificationKind, *, in_app: bool, by_mail: bool) -> None:
    """How this person wants to be told of this kind from now on. Needs transaction()."""
    hot(_CHOOSE, {"user": user_id, "kind": kind.value, "in_app": in_app, "by_mail": by_mail})


def forget_old_notifications(*, limit: int, days: int = KEPT_DAYS) -> int:
    """Delete at most `limit` notifications older than `days`; how many. Needs transaction()."""
    return len(hot(_FORGET, {"days": days, "limit": limit}))


def channel_of(user_id: uuid.UUID) -> str:
    """Where a person's open pages hear that their bell has changed."""
    return f"user:{user_id}"


def _nudge(user_ids: Iterable[uuid.UUID]) -> None:
    channels = sorted({channel_of(user_id) for user_id in user_ids})
    if channels:
        after_commit(partial(nudge, *channels))
