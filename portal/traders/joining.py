"""Accepting an invitation: the login, and for somebody invited as a trader the trader with their accounts."""

from __future__ import annotations

import uuid
from dataclasses import replace

from sqlalchemy import select

from portal.audit.service import record_audit
from portal.core.actors import Origin
from portal.core.db import db
from portal.identity.acting import actor_of_user
from portal.identity.models import Role, User
from portal.identity.people.invitations import Invited, accept_as_known, accept_as_new
from portal.traders.models import Trader
from portal.traders.service import create_trader


def join_as_new(
    token: str, name: str, password: str, *, locale: str, timezone: str, min_length: int, origin: Origin
) -> User:
    """Make the login of an invitation, whose link is used up by it. Needs transaction().

    Raises NotFound when the link is over, Conflict `duplicate_email`, ValidationFailed (name, password).
    """
    invited, user = accept_as_new(
        token, name, password, locale=locale, timezone=timezone, min_length=min_length
    )
    _settle(invited, user, origin)
    return user


def join_as_known(token: str, user_id: uuid.UUID, origin: Origin) -> None:
    """Give what an invitation holds to its owner, who has a login. Needs transaction().

    Raises NotFound when the link is over or for somebody else.
    """
    invited, user = accept_as_known(token, user_id)
    _settle(invited, user, origin)


def _settle(invited: Invited, user: User, origin: Origin) -> None:
    actor = actor_of_user(user.id)
    is_trader = db.session.scalar(select(Trader.id).where(Trader.user_id == user.id)) is not None
    if Role.TRADER in invited.roles and not is_trader:
        create_trader(
            user.name, user_id=user.id, team_id=invited.team_id, actor=replace(actor, origin=origin)
        )
    record_audit(
        "invitation.accepted", actor=actor, subject=("user", user.id), origin=origin,
        after={"invitation": str(invited.id), "roles": [role.value for role in invited.roles]},
    )  # fmt: skip
