"""Refresh tokens of programs: a chain that rotates, and whose second use ends it.

A merchant's family belongs to a store and a mode, and to whom it was given: a person, or an API key. Other
families belong to one person and their part of the house. Access tokens hang on the family and die with it.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update

from portal.core.cache import Cache
from portal.core.crypto import bound_token, is_bound_token, token_hash
from portal.core.db import after_commit, db, hot, transaction
from portal.core.errors import NotFound
from portal.core.ids import new_id
from portal.core.modes import Mode
from portal.identity.models import Audience, RefreshToken, User

_PREFIX, _PURPOSE = "nrt_", "refresh token"


@dataclass(frozen=True, slots=True)
class TokenFamily:
    """Whom the tokens of a family speak for. Exactly one of `user_id` and `api_key_id` is set."""

    id: uuid.UUID
    audience: Audience
    user_id: uuid.UUID | None
    api_key_id: uuid.UUID | None
    # Of a merchant's family alone.
    store_id: uuid.UUID | None
    mode: Mode | None

    @property
    def subject(self) -> str:
        """Whom an access token of the family names: one whose row names somebody else by now opens nothing."""
        return f"key:{self.api_key_id}" if self.api_key_id else f"user:{self.user_id}"

    @property
    def whom(self) -> tuple[object, ...]:
        """What a refresh token is good for, and for nothing else."""
        return (self.id, self.audience.value, self.subject, self.store_id, self.mode)


_memory: Cache[TokenFamily] = Cache("token_families")

# Alive while its links are not revoked (they are revoked together), and the person may still sign in.
_ALIVE = """
SELECT t.audience, t.user_id, t.api_key_id, t.store_id, t.mode
  FROM refresh_token t
 WHERE t.family_id = %(family)s AND t.revoked_at IS NULL
   AND (t.user_id IS NULL OR EXISTS (SELECT 1 FROM users u WHERE u.id = t.user_id AND u.is_active))
 LIMIT 1
"""


def find_family(family_id: uuid.UUID, max_age_s: float) -> TokenFamily | None:
    """The family unless it was revoked or its person may no longer sign in.

    Costs no query when it was found in the last `max_age_s` seconds and no family has been revoked since.
    """
    page = _memory.page()
    known = _memory.find(page, family_id.bytes, max_age_s)
    if known is not None:
        return known
    with transaction():
        rows = hot(_ALIVE, {"family": family_id})
    if not rows:
        return None
    row = rows[0]
    mode = Mode(row["mode"]) if row["mode"] else None
    family = TokenFamily(
        family_id, Audience(row["audience"]), row["user_id"], row["api_key_id"], row["store_id"], mode
    )
    _memory.put(page, family_id.bytes, family)
    return family


def start_family(
    store_id: uuid.UUID,
    mode: Mode,
    ttl_s: int,
    *,
    user_id: uuid.UUID | None = None,
    api_key_id: uuid.UUID | None = None,
) -> tuple[TokenFamily, str]:
    """The first link of a new chain and its secret, shown this once. Needs transaction()."""
    family = TokenFamily(new_id(), Audience.MERCHANT, user_id, api_key_id, store_id, mode)
    return family, _add_link(family, datetime.now(UTC) + timedelta(seconds=ttl_s))


def start_personal_family(user_id: uuid.UUID, audience: Audience, ttl_s: int) -> tuple[TokenFamily, str]:
    """As `start_family`, for one person's own work. Needs transaction()."""
    family = TokenFamily(new_id(), audience, user_id, None, None, None)
    return family, _add_link(family, datetime.now(UTC) + timedelta(seconds=ttl_s))


def _add_link(family: TokenFamily, expires_at: datetime) -> str:
    secret = _PREFIX + bound_token(_PURPOSE, *family.whom)
    db.session.add(
        RefreshToken(
            family_id=family.id,
            token_hash=token_hash(secret),
            user_id=family.user_id,
            api_key_id=family.api_key_id,
            store_id=family.store_id,
            mode=family.mode.value if family.mode else None,
            audience=family.audience.value,
            expires_at=expires_at,
        )
    )
    db.session.flush()
    return secret


def rotate(secret: str, audience: Audience) -> tuple[TokenFamily, str] | None:
    """The next link of the chain for this one; None when it is unknown, expired, revoked, used before, for
    another audience, or not made by the house for whom its row names.

    A link that was used before is in two hands: its family is revoked (that must be committed, so this does
    not raise). The chain ends when its first link would have. Needs transaction().
    """
    link = db.session.scalar(
        select(RefreshToken)
        .where(RefreshToken.token_hash == token_hash(secret))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if link is None or link.audience != audience.value:
        return None
    mode = Mode(link.mode) if link.mode else None
    family = TokenFamily(link.family_id, audience, link.user_id, link.api_key_id, link.store_id, mode)
    if not is_bound_token(secret.removeprefix(_PREFIX), _PURPOSE, *family.whom):
        return None
    if link.used_at is not None:
        revoke_family(link.family_id)
        return None
    now = datetime.now(UTC)
    if link.revoked_at is not None or link.expires_at <= now or not _may_sign_in(link.user_id):
        return None
    link.used_at = now
    return family, _add_link(family, link.expires_at)


def _may_sign_in(user_id: uuid.UUID | None) -> bool:
    return user_id is None or bool(db.session.scalar(select(User.is_active).where(User.id == user_id)))


def revoke_family(family_id: uuid.UUID) -> None:
    """End every refresh and access token of the family, everywhere within a second of the commit."""
    db.session.execute(
        update(RefreshToken)
        .where(RefreshToken.family_id == family_id, RefreshToken.revoked_at.is_(None))
        .values(revoked_at=datetime.now(UTC))
    )
    after_commit(_memory.forget)


def revoke_families_of(user_id: uuid.UUID) -> bool:
    """End every token that was given to this person; whether there was one. Needs transaction()."""
    ended = db.session.scalars(
        update(RefreshToken)
        .where(RefreshToken.user_id == user_id, RefreshToken.revoked_at.is_(None))
        .values(revoked_at=datetime.now(UTC))
        .returning(RefreshToken.id)
    ).all()
    after_commit(_memory.forget)
    return bool(ended)


@dataclass(frozen=True, slots=True)
class FamilyLine:
    """A living family as its owner sees it. Times are UTC; `last_used_at` is when its last link was made."""

    id: uuid.UUID
    audience: Audience
    store_id: uuid.UUID | None
    mode: Mode | None
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime


_OWN = """
SELECT family_id AS id, min(audience) AS audience, (array_agg(store_id))[1] AS store_id, min(mode) AS mode,
       min(created_at) AS created_at, max(created_at) AS last_used_at, max(expires_at) AS expires_at
  FROM refresh_token
 WHERE user_id = %(user)s AND revoked_at IS NULL AND expires_at > now()
 GROUP BY family_id ORDER BY max(created_at) DESC LIMIT 200
"""
_IS_OWN = """
SELECT 1 FROM refresh_token WHERE family_id = %(family)s AND user_id = %(user)s AND revoked_at IS NULL LIMIT 1
"""


def list_own_families(user_id: uuid.UUID) -> list[FamilyLine]:
    """The programs that are signed in with a person's name, the last used first, at most 200."""
    return [
        FamilyLine(
            **row
            | {"audience": Audience(row["audience"]), "mode": Mode(row["mode"]) if row["mode"] else None}
        )
        for row in hot(_OWN, {"user": user_id})
    ]


def revoke_own_family(user_id: uuid.UUID, family_id: uuid.UUID) -> None:
    """Sign one of one's own programs out. Raises NotFound for a stranger's. Needs transaction()."""
    if not hot(_IS_OWN, {"user": user_id, "family": family_id}):
        raise NotFound("There is no such program.")
    revoke_family(family_id)


def forget_families() -> None:
    """Read families anew, here now and elsewhere within a second: what their people may do has changed.

    Call it after the commit.
    """
    _memory.forget()
