"""API keys as members of a merchant handle them: in their own stores, and never with more than they may do."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from portal.core.actors import Actor
from portal.core.errors import Forbidden, NotFound, ValidationFailed
from portal.core.modes import Mode
from portal.core.permissions import Permission
from portal.core.text_rules import name_of
from portal.identity.models import ApiKey, Scope
from portal.identity.roles import scopes_of
from portal.identity.tokens import api_keys
from portal.merchants.queries import Membership, StoreTerms, list_memberships


@dataclass(frozen=True, slots=True)
class StoreKeys:
    """A store's keys, newest first, as one of its members sees them."""

    store: StoreTerms
    keys: Sequence[ApiKey]
    may_issue: bool
    may_revoke: bool


def list_keys_of_member(user_id: uuid.UUID) -> list[StoreKeys]:
    """The keys of every store in which this person may see them."""
    return [
        StoreKeys(
            membership.store,
            api_keys.list_api_keys(membership.store.id),
            Permission.API_KEY_ISSUE in membership.permissions,
            Permission.API_KEY_REVOKE in membership.permissions,
        )
        for membership in list_memberships(user_id)
        if Permission.API_KEY_VIEW in membership.permissions
    ]


def list_issuable(user_id: uuid.UUID) -> list[tuple[StoreTerms, frozenset[Scope]]]:
    """The stores for which this person may issue keys, each with what such a key may do at most."""
    return [
        (membership.store, scopes_of(membership.permissions))
        for membership in list_memberships(user_id)
        if Permission.API_KEY_ISSUE in membership.permissions
    ]


def issue_as_member(
    user_id: uuid.UUID,
    store_id: uuid.UUID,
    mode: Mode,
    name: str,
    scopes: Iterable[Scope],
    *,
    allowed_networks: Sequence[str] = (),
    expires_at: datetime | None = None,
    actor: Actor,
) -> tuple[ApiKey, str]:
    """As `issue_api_key`, for a store of this person. Needs transaction().

    Raises NotFound for a store in which they may not issue keys, ValidationFailed (scopes, name), Forbidden
    `beyond_your_own` for a scope that they do not have themselves.
    """
    membership = _membership(user_id, store_id, Permission.API_KEY_ISSUE)
    wanted = frozenset(scopes)
    if not wanted:
        raise ValidationFailed.of("scopes", "required", "Choose what the key may do.")
    words = name_of(name, most=80)
    _refuse_beyond(wanted, membership)
    return api_keys.issue_api_key(
        store_id, mode, words, wanted, allowed_networks=allowed_networks, expires_at=expires_at, actor=actor
    )


def rotate_as_member(user_id: uuid.UUID, key_id: uuid.UUID, *, actor: Actor) -> tuple[ApiKey, str]:
    """As `rotate_api_key`. Raises NotFound for a stranger's key, Forbidden. Needs transaction()."""
    membership = _membership_of_key(user_id, key_id, Permission.API_KEY_ISSUE)
    _refuse_beyond(api_keys.scopes_of_key(membership.store.id, key_id), membership)
    return api_keys.rotate_api_key(membership.store.id, key_id, actor=actor)


def revoke_as_member(user_id: uuid.UUID, key_id: uuid.UUID, *, actor: Actor) -> ApiKey:
    """As `revoke_api_key`. Raises NotFound for a stranger's key. Needs transaction()."""
    membership = _membership_of_key(user_id, key_id, Permission.API_KEY_REVOKE)
    return api_keys.revoke_api_key(membership.store.id, key_id, actor=actor)


def _membership_of_key(user_id: uuid.UUID, key_id: uuid.UUID, permission: Permission) -> Membership:
    store_id = api_keys.find_store_of_key(key_id)
    if store_id is None:
        raise NotFound("There is no such key.")
    return _membership(user_id, store_id, permission)


def _membership(user_id: uuid.UUID, store_id: uuid.UUID, permission: Permission) -> Membership:
    for membership in list_memberships(user_id):
        if membership.store.id == store_id and permission in membership.permissions:
            return membership
    raise NotFound("There is no such store, or it is not yours.")


def _refuse_beyond(wanted: frozenset[Scope], membership: Membership) -> None:
    """Nobody gets by a key what they were not given."""
    beyond = wanted - scopes_of(membership.permissions)
    if beyond:
        names = ", ".join(sorted(beyond))
        raise Forbidden(f"You do not have this yourself: {names}.", code="beyond_your_own")
