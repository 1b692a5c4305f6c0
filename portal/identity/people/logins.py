"""What those who run the house do to others' logins: switch off and on, take factors away, end sessions.

Each verb is audited with its reason, and raises ValidationFailed for one that is none; who may call it is the caller's
to ask.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from portal.audit.service import record_audit
from portal.core.actors import Actor, Origin
from portal.core.db import db, hot
from portal.core.errors import Conflict, Forbidden, NotFound
from portal.core.text_rules import reason_of
from portal.identity.letters import Change, mail_change, mail_invitation
from portal.identity.models import MemberRole, Role, User
from portal.identity.people.invitations import create_invitation, revoke_invitation
from portal.identity.proofs.second_factor import forget_factors
from portal.identity.service import disable_user, enable_user
from portal.identity.tokens.sessions import revoke_own_session, revoke_sessions_of


@dataclass(frozen=True, slots=True)
class PersonLine:
    """A login in a list. Times are UTC."""

    id: uuid.UUID
    email: str
    name: str
    roles: tuple[Role, ...]
    is_active: bool
    has_second_factor: bool
    last_seen_at: datetime | None
    created_at: datetime


_LIST = """
SELECT u.id, u.email, u.name, u.is_active, u.created_at,
       ARRAY(SELECT r.role FROM user_role r WHERE r.user_id = u.id ORDER BY r.role) AS roles,
       EXISTS (SELECT 1 FROM totp_factor t WHERE t.user_id = u.id AND t.confirmed_at IS NOT NULL)
         OR EXISTS (SELECT 1 FROM passkey p WHERE p.user_id = u.id AND p.set_aside_at IS NULL)
         AS has_second_factor,
       (SELECT max(s.last_seen_at) FROM user_session s WHERE s.user_id = u.id) AS last_seen_at
  FROM users u
 WHERE (%(role)s::text IS NULL OR EXISTS (SELECT 1 FROM user_role r WHERE r.user_id = u.id AND r.role = %(role)s))
   AND (%(after)s::uuid IS NULL OR u.id > %(after)s)
 ORDER BY u.id LIMIT %(limit)s
"""

_HAS_FACTOR = """
SELECT EXISTS (SELECT 1 FROM totp_factor t WHERE t.user_id = %(user)s AND t.confirmed_at IS NOT NULL)
    OR EXISTS (SELECT 1 FROM passkey p WHERE p.user_id = %(user)s AND p.set_aside_at IS NULL) AS has_it
"""


def list_people(
    role: Role | None = None, *, after: uuid.UUID | None = None, limit: int = 200
) -> Sequence[PersonLine]:
    """Logins, oldest first, those after an id if it is given."""
    rows = hot(_LIST, {"role": role.value if role else None, "after": after, "limit": limit})
    return [PersonLine(**row | {"roles": tuple(Role(name) for name in row["roles"])}) for row in rows]


def get_person(user_id: uuid.UUID, *, lock: bool = False) -> User:
    """The login. Raises NotFound."""
    user = db.session.get(User, user_id, with_for_update={"key_share": True} if lock else None)
    if user is None:
        raise NotFound("There is no such login.")
    return user


def switch_off(user_id: uuid.UUID, *, actor: Actor, reason: str, origin: Origin | None = None) -> None:
    """Let somebody in no longer; sessions and tokens end at once. Needs transaction().

    Raises Conflict `last_admin` or `already_off`, Forbidden for oneself, NotFound. Locks the login.
    """
    if actor.id == user_id:
        raise Forbidden("Nobody switches their own login off.", code="not_for_oneself")
    user = get_person(user_id, lock=True)
    if not user.is_active:
        raise Conflict("This login is switched off already.", code="already_off")
    disable_user(user)
    _note("user.disabled", user, actor, origin, reason, {"is_active": True}, {"is_active": False})


def switch_on(user_id: uuid.UUID, *, actor: Actor, reason: str, origin: Origin | None = None) -> None:
    """Let somebody in again. Raises Conflict `already_on`, NotFound. Locks the login. Needs transaction()."""
    user = get_person(user_id, lock=True)
    if user.is_active:
        raise Conflict("This login is switched on already.", code="already_on")
    enable_user(user)
    _note("user.enabled", user, actor, origin, reason, {"is_active": False}, {"is_active": True})


def reset_second_factor(
    user_id: uuid.UUID, *, actor: Actor, reason: str, origin: Origin | None = None
) -> None:
    """Take app, passkeys and recovery codes away; sessions and tokens end, the owner is told by mail.

    Raises NotFound, Conflict `no_second_factor` where there is none to take. Locks the login. Needs transaction().
    """
    user = get_person(user_id, lock=True)
    if not forget_factors(user.id):
        raise Conflict("They have no second factor.", code="no_second_factor")
    revoke_sessions_of(user.id)
    _note("user.factors_reset", user, actor, origin, reason)
    mail_change(user.email, user.locale, Change.FACTORS_RESET, Origin())


def end_sessions(user_id: uuid.UUID, *, actor: Actor, reason: str, origin: Origin | None = None) -> None:
    """End all of somebody's sessions and tokens, if there are any. Raises NotFound. Needs transaction()."""
    user = get_person(user_id, lock=True)
    if revoke_sessions_of(user.id):
        _note("user.sessions_ended", user, actor, origin, reason)


def end_one_session(
    user_id: uuid.UUID, session_id: uuid.UUID, *, actor: Actor, origin: Origin | None = None
) -> None:
    """End one of somebody's sessions. Raises NotFound for what is over or another's. Needs transaction()."""
    user = get_person(user_id)
    revoke_own_session(user.id, session_id)
    record_audit(
        "user.session_ended", actor=actor, subject=("user", user.id), after={"session": session_id}, origin=origin
    )  # fmt: skip


def has_second_factor(user_id: uuid.UUID) -> bool:
    """Whether they have an app or a passkey."""
    return bool(hot(_HAS_FACTOR, {"user": user_id})[0]["has_it"])


def invite(
    email: str,
    roles: Sequence[Role],
    *,
    actor: Actor,
    invited_by: str,
    ttl_s: int,
    locale: str = "en",
    merchant_id: uuid.UUID | None = None,
    member_role: MemberRole | None = None,
    store_ids: Sequence[uuid.UUID] = (),
    team_id: uuid.UUID | None = None,
    origin: Origin | None = None,
    by_mail: bool = True,
) -> str:
    """Invite somebody, by mail unless told otherwise; the token of the link. `invited_by` is a name.

    Raises ValidationFailed, and Forbidden as create_invitation(). Needs transaction().
    """
    token = create_invitation(
        email, roles, invited_by=actor, merchant_id=merchant_id, member_role=member_role,
        store_ids=store_ids, team_id=team_id, locale=locale, ttl_s=ttl_s,
    )  # fmt: skip
    given = {
        "roles": [role.value for role in roles],
        "member_role": member_role.value if member_role else None,
    }
    record_audit(
        "invitation.created",
        actor=actor,
        subject=("email", email.strip().lower()),
        after=given,
        origin=origin,
    )
    if by_mail:
        mail_invitation(email.strip().lower(), token, invited_by, locale, ttl_s)
    return token


def withdraw_invitation(invitation_id: uuid.UUID, *, actor: Actor, origin: Origin | None = None) -> None:
    """Make an invitation's link worth nothing. Raises NotFound `invitation_over`. Needs transaction()."""
    revoke_invitation(invitation_id)
    record_audit("invitation.withdrawn", actor=actor, subject=("invitation", invitation_id), origin=origin)


def _note(
    action: str,
    user: User,
    actor: Actor,
    origin: Origin | None,
    reason: str,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
) -> None:
    record_audit(
        action, actor=actor, subject=("user", user.id), before=before, after=after, reason=reason_of(reason),
        origin=origin,
    )  # fmt: skip
