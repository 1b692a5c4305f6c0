"""Telling a store's people that Nostro has stopped to send them webhooks."""

from __future__ import annotations

import uuid

from portal.identity.models import MemberRole
from portal.identity.people.audience import list_members_of_store
from portal.mail.links import HOME
from portal.merchants.queries import find_store
from portal.notifications.models import NotificationKind
from portal.notifications.service import notify

# Those who can put it right.
_CONCERNED = (MemberRole.OWNER, MemberRole.DEVELOPER)


def tell_of_disabled_endpoint(endpoint_id: uuid.UUID, store_id: uuid.UUID, url: str, disabled_at: str) -> int:
    """Tell owners and developers of the store, once for each time; how many. Needs transaction()."""
    store = find_store(store_id)
    if store is None:
        return 0
    return notify(
        list_members_of_store(store.merchant_id, store.id, _CONCERNED),
        NotificationKind.ENDPOINT_DISABLED,
        {"store": store.name, "url": url},
        HOME,
        about=f"{endpoint_id} {disabled_at}",
    )
