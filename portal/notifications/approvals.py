"""Changes of access that two people must agree to: whoever may decide them is told when one is asked for."""

from __future__ import annotations

import uuid

from portal.core.actors import Actor, Origin
from portal.identity.access_changes import AccessChange
from portal.identity.audience import list_holders, names_of
from portal.identity.grants import change_access
from portal.identity.models import Role
from portal.notifications.models import NotificationKind
from portal.notifications.service import notify


def change_access_and_tell(
    user_id: uuid.UUID,
    change: AccessChange,
    reason: str,
    *,
    link: str,
    actor: Actor,
    origin: Origin | None = None,
) -> uuid.UUID | None:
    """`change_access`, and when it has to be approved the other administrators are told of it, with `link`."""
    request_id = change_access(user_id, change, reason, actor=actor, origin=origin)
    if request_id is not None and actor.id is not None:
        _tell_deciders(request_id, user_id, actor.id, link)
    return request_id


def _tell_deciders(request_id: uuid.UUID, user_id: uuid.UUID, asked_by: uuid.UUID, link: str) -> None:
    deciders = [person for person in list_holders(Role.ADMIN) if person not in {user_id, asked_by}]
    names = names_of([user_id, asked_by])
    params = {"what": "access", "subject": names[user_id], "asked_by": names[asked_by]}
    notify(deciders, NotificationKind.APPROVAL_WANTED, params, link, about=str(request_id))
