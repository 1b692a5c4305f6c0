"""What the audit log says of one thing, for the page of that thing: who did it, and what, in words."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from flask_login import current_user

from portal.audit.models import AuditEntry
from portal.audit.queries import AuditFilter, list_entries
from portal.core.permissions import Permission
from portal.identity.people.audience import names_of
from portal.merchants.queries import list_store_names
from portal.traders.queries import trader_name
from portal.web.labels.actors import actor_words

SHOWN = 20


@dataclass(frozen=True, slots=True)
class History:
    """Entries, the newest first, and what those who acted are called."""

    entries: Sequence[AuditEntry]
    names: Mapping[uuid.UUID, str]

    def who(self, entry: AuditEntry) -> str:
        return name_of_actor(entry, self.names)


def history_of(kind: str, subject_id: uuid.UUID) -> History | None:
    """The last SHOWN entries about it; None for who may not see the log."""
    if not current_user.can(Permission.AUDIT_VIEW):
        return None
    entries = list_entries(AuditFilter(subject=(kind, str(subject_id))), SHOWN)
    return History(entries, actor_names(entry.actor_id for entry in entries if entry.actor_id))


def actor_names(ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, str]:
    """What these actors are called: people by one statement, traders and stores from memory."""
    wanted = set(ids)
    found = names_of(wanted) if wanted else {}
    stores = list_store_names()
    for actor_id in wanted - found.keys():
        name = trader_name(actor_id) or stores.get(actor_id)
        if name:
            found[actor_id] = name
    return found


def name_of_actor(entry: AuditEntry, names: Mapping[uuid.UUID, str]) -> str:
    """The name of who did it; what they are, where there is no name."""
    if entry.actor_id is not None and entry.actor_id in names:
        return names[entry.actor_id]
    return actor_words(entry.actor_kind)
