"""Invitations: a single-use link by which somebody gets a login and roles, and picks their own password."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal.core.actors import Actor
from portal.core.crypto import bound_token, is_bound_token, token_hash
from portal.core.db import db, hot
from portal.core.errors import Forbidden, NotFound, ValidationFailed
from portal.core.ids import new_id
from portal.identity.models import MemberRole, Role, User, UserRole
from portal.identity.people.models import MerchantMember, MerchantMemberStore
from portal.identity.roles import takes_two_people
from portal.identity.service import create_user, normal_email

TTL_S = 3 * 86400
_PURPOSE = "invitation"


@dataclass(frozen=True, slots=True)
class Invited:
    """What an invitation gives, to whom. `has_login`: the email is somebody's already. Times are UTC."""

    id: uuid.UUID
    email: str
    roles: tuple[Role, ...]
    merchant_id: uuid.UUID | None
    member_role: MemberRole | None
    team_id: uuid.UUID | None
    store_ids: tuple[uuid.UUID, ...]
    locale: str
    expires_at: datetime
    has_login: bool


_OWN_EMAIL = "SELECT EXISTS (SELECT 1 FROM users WHERE id = %(user)s AND email = %(email)s) AS found"
_FOREIGN_STORES = """
SELECT count(*) AS n FROM unnest(%(ids)s::uuid[]) AS wanted(id)
 WHERE NOT EXISTS (SELECT 1 FROM store s WHERE s.id = wanted.id AND s.merchant_id = %(merchant)s)
"""
_INSERT = """
INSERT INTO invitation (id, token_hash, email, roles, merchant_id, member_role, team_id, store_ids, locale,
                        invited_by_kind, invited_by_id, expires_at)
VALUES (%(id)s, %(hash)s, %(email)s, %(roles)s, %(merchant)s, %(member_role)s, %(team)s, %(stores)s::uuid[],
        %(locale)s, %(by_kind)s, %(by_id)s, now() + make_interval(secs => %(ttl)s))
"""
_OPEN = "i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > now()"
_COLUMNS = """i.id, i.email, i.roles, i.merchant_id, i.member_role, i.team_id, i.store_ids, i.locale, i.expires_at,
       EXISTS (SELECT 1 FROM users u WHERE u.email = i.email) AS has_login"""
_FIND = f"SELECT {_COLUMNS} FROM invitation i WHERE i.token_hash = %(hash)s AND {_OPEN}"  # noqa: S608
_TAKE = f"""UPDATE invitation i SET accepted_at = now() WHERE i.token_hash = %(hash)s AND {_OPEN}
RETURNING {_COLUMNS}"""  # noqa: S608
_BELONGS = "UPDATE invitation SET user_id = %(user)s WHERE id = %(id)s"
_REVOKE = f"UPDATE invitation i SET revoked_at = now() WHERE i.id = %(id)s AND {_OPEN} RETURNING i.id"  # noqa: S608
_WAITING = f"SELECT {_COLUMNS} FROM invitation i WHERE {_OPEN} ORDER BY i.id DESC LIMIT 200"  # noqa: S608


def create_invitation(
    email: str,
    roles: Iterable[Role],
    *,
    invited_by: Actor,
    merchant_id: uuid.UUID | None = None,
    member_role: MemberRole | None = None,
    store_ids: Sequence[uuid.UUID] = (),
    team_id: uuid.UUID | None = None,
    locale: str = "en",
    ttl_s: int = TTL_S,
) -> str:
    """The token of a link that is good once, for `ttl_s`; it is shown this once. Needs transaction().

    `store_ids` empty means all stores of the merchant, `team_id` is a trader's. Who may invite whom is the
    caller's to ask. Raises ValidationFailed (email, roles, store_ids), Forbidden `needs_two_people` when one
    person would let somebody in with power over others, and `not_for_oneself` when they would let themselves in.
    """
    granted = list(dict.fromkeys(roles))
    if not granted or (Role.MERCHANT in granted) != (merchant_id is not None and member_role is not None):
        raise ValidationFailed.of(
            "roles", "incomplete", "A merchant's member needs a merchant and a role there."
        )
    if invited_by.id is not None and any(takes_two_people(role) for role in granted):
        raise Forbidden(
            "Invite them without this role; then ask for it, and another administrator approves it.",
            code="needs_two_people",
        )
    if team_id is not None and Role.TRADER not in granted:
        raise ValidationFailed.of("roles", "incomplete", "Only a trader joins a team.")
    stores = list(dict.fromkeys(store_ids))
    if hot(_FOREIGN_STORES, {"ids": stores, "merchant": merchant_id})[0]["n"]:
        raise ValidationFailed.of("store_ids", "unknown", "Choose stores of this merchant.")
    known_as = normal_email(email)
    if hot(_OWN_EMAIL, {"user": invited_by.id, "email": known_as})[0]["found"]:
        raise Forbidden("Nobody invites themselves.", code="not_for_oneself")
    token = bound_token(_PURPOSE, *_gift(known_as, granted, merchant_id, member_role, team_id, stores))
    hot(_INSERT, {
        "id": new_id(), "hash": token_hash(token), "email": known_as,
        "roles": [role.value for role in granted], "merchant": merchant_id,
        "member_role": member_role.value if member_role else None, "team": team_id, "stores": stores,
        "locale": locale, "by_kind": invited_by.kind.value, "by_id": invited_by.id, "ttl": float(ttl_s),
    })  # fmt: skip
    return token


def find_invitation(token: str) -> Invited | None:
    """The invitation of a link while it can be accepted."""
    return _bound(token, hot(_FIND, {"hash": token_hash(token)}))


def list_invitations() -> Sequence[Invited]:
    """Those that wait to be accepted, newest first, at most 200."""
    return [_invited(row) for row in hot(_WAITING)]


def revoke_invitation(invitation_id: uuid.UUID) -> None:
    """Make the link worth nothing. Needs transaction().

    Raises NotFound `invitation_over` when it was used, is over or unknown.
    """
    if not hot(_REVOKE, {"id": invitation_id}):
        raise NotFound("This invitation is over already.", code="invitation_over")


def accept_as_new(
    token: str, name: str, password: str, *, locale: str, timezone: str, min_length: int
) -> tuple[Invited, User]:
    """Use the link up and make the login, with the password its owner picked. Needs transaction().

    Raises NotFound when the link is over, Conflict `duplicate_email`, ValidationFailed (name, password).
    """
    invited = _take(token)
    user = create_user(
        invited.email, name, password, invited.roles, locale=locale, timezone=timezone, min_length=min_length
    )
    _settle(invited, user.id)
    return invited, user


def accept_as_known(token: str, user_id: uuid.UUID) -> tuple[Invited, User]:
    """Use the link up and give the roles to a login that exists. Needs transaction().

    Raises NotFound when the link is over or for somebody else.
    """
    invited, user = _take(token), db.session.get_one(User, user_id)
    if invited.email != user.email:
        raise NotFound("This invitation is for somebody else.")
    held = {role.role for role in user.roles}
    user.roles.extend(UserRole(role=role.value) for role in invited.roles if role.value not in held)
    db.session.flush()
    _settle(invited, user.id)
    return invited, user


def _take(token: str) -> Invited:
    invited = _bound(token, hot(_TAKE, {"hash": token_hash(token)}))
    if invited is None:
        raise NotFound("This link was used already or is too old. Ask for another one.")
    return invited


def _bound(token: str, rows: Sequence[dict[str, Any]]) -> Invited | None:
    invited = _invited(rows[0]) if rows else None
    if invited is None:
        return None
    gift = _gift(
        invited.email,
        invited.roles,
        invited.merchant_id,
        invited.member_role,
        invited.team_id,
        invited.store_ids,
    )
    return invited if is_bound_token(token, _PURPOSE, *gift) else None


def _gift(
    email: str,
    roles: Iterable[Role],
    merchant_id: uuid.UUID | None,
    member_role: MemberRole | None,
    team_id: uuid.UUID | None,
    store_ids: Iterable[uuid.UUID],
) -> tuple[object, ...]:
    """All that the link gives, and to whom."""
    return (email, ",".join(roles), merchant_id, member_role, team_id, ",".join(map(str, store_ids)))


def _settle(invited: Invited, user_id: uuid.UUID) -> None:
    hot(_BELONGS, {"user": user_id, "id": invited.id})
    if invited.merchant_id is not None and invited.member_role is not None:
        set_member(user_id, invited.merchant_id, invited.member_role, invited.store_ids)


def set_member(
    user_id: uuid.UUID, merchant_id: uuid.UUID, role: MemberRole, store_ids: Sequence[uuid.UUID] = ()
) -> None:
    """Make the person a member, or change what kind; without `store_ids` of all stores. Needs transaction()."""
    values = {"role": role.value, "has_all_stores": not store_ids}
    member = db.session.get(MerchantMember, (merchant_id, user_id), with_for_update=True)
    if member is None:
        db.session.add(MerchantMember(merchant_id=merchant_id, user_id=user_id, **values))
    else:
        member.role, member.has_all_stores = role.value, not store_ids
    db.session.flush()
    chosen = {"merchant_id": merchant_id, "user_id": user_id}
    db.session.query(MerchantMemberStore).filter_by(**chosen).delete()
    db.session.add_all(MerchantMemberStore(store_id=store_id, **chosen) for store_id in store_ids)
    db.session.flush()


def _invited(row: dict[str, Any]) -> Invited:
    return Invited(**row | {
        "roles": tuple(Role(role) for role in row["roles"]),
        "member_role": MemberRole(row["member_role"]) if row["member_role"] else None,
        "store_ids": tuple(row["store_ids"]),
    })  # fmt: skip
