"""What an administrator sees of one person, as far as they may."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask_login import current_user

from portal.approvals.kinds import Subject
from portal.approvals.models import ApprovalRequest
from portal.approvals.queries import find_waiting
from portal.core.permissions import Permission, Reach
from portal.identity.access.changes import Access, get_access
from portal.identity.access.grants import list_grants
from portal.identity.access.models import PermissionGrant
from portal.identity.models import User
from portal.identity.people.audience import names_of
from portal.identity.people.logins import get_person, has_second_factor
from portal.identity.tokens.sessions import SessionLine, list_sessions
from portal.merchants.queries import MemberOf, list_merchants_of_member
from portal.reference import configuration as config
from portal.traders.models import Trader
from portal.traders.queries import find_trader_of_user
from portal.web.admin.audit.history import History, history_of


@dataclass(frozen=True, slots=True)
class Seen:
    """One person. `sessions` is None for who may not see them, and so is `history`."""

    user: User
    has_second_factor: bool
    access: Access
    grants: Sequence[PermissionGrant]
    waiting: ApprovalRequest | None
    merchants: Sequence[MemberOf]
    trader: Trader | None
    sessions: Sequence[SessionLine] | None
    history: History | None
    names: Mapping[uuid.UUID, str]

    @property
    def is_oneself(self) -> bool:
        return self.user.id == current_user.id

    @property
    def held(self) -> list[tuple[Permission, Reach]]:
        """What they may do, by the permission's name."""
        return sorted(self.access.permissions.items(), key=lambda held: held[0].value)


def look_at(person_id: uuid.UUID) -> Seen:
    """Raises NotFound."""
    user = get_person(person_id)
    grants = list_grants(person_id)
    waiting = find_waiting(["access"], Subject("user", str(person_id)))
    named = {grant.granted_by for grant in grants} | {
        grant.approved_by for grant in grants if grant.approved_by
    }
    named |= {waiting.proposed_by} if waiting else set()
    return Seen(
        user,
        has_second_factor(person_id),
        get_access(person_id),
        grants,
        waiting,
        list_merchants_of_member(person_id),
        find_trader_of_user(person_id),
        list_sessions(person_id, config.get(config.SESSION_IDLE_S))
        if current_user.can(Permission.SESSION_VIEW)
        else None,
        history_of("user", person_id),
        names_of(named),
    )
