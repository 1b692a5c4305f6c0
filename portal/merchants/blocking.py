"""Blocking a merchant: their stores take no new orders and their programs are refused, until it is taken back.

Members still sign in and read, and what runs is finished: customers pay, traders confirm, shops are told.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from sqlalchemy import select

from portal.audit.service import record_audit
from portal.core.actors import Actor
from portal.core.db import db, hot
from portal.core.errors import Conflict, NotFound
from portal.core.text_rules import reason_of
from portal.merchants.models import Merchant
from portal.merchants.queries import stores

_CONCERNED = """
SELECT (SELECT count(*) FROM store s WHERE s.merchant_id = %(id)s AND s.is_active) AS stores,
       (SELECT count(*) FROM store s JOIN api_key k ON k.store_id = s.id
         WHERE s.merchant_id = %(id)s AND k.revoked_at IS NULL
           AND (k.expires_at IS NULL OR k.expires_at > now())) AS keys,
       (SELECT count(*) FROM merchant_member m WHERE m.merchant_id = %(id)s) AS members
"""


@dataclass(frozen=True, slots=True)
class Concerned:
    """What a block is felt by: open stores, keys that work, people."""

    stores: int
    keys: int
    members: int


def concerned_by_block(merchant_id: uuid.UUID) -> Concerned:
    return Concerned(**hot(_CONCERNED, {"id": merchant_id})[0])


def block_merchant(merchant_id: uuid.UUID, reason: str, *, actor: Actor) -> None:
    """Refuse the merchant's programs and new orders. Locks the merchant. Needs transaction().

    Raises NotFound, Conflict `already_blocked`, ValidationFailed (reason).
    """
    _switch(merchant_id, False, reason, actor)


def unblock_merchant(merchant_id: uuid.UUID, reason: str, *, actor: Actor) -> None:
    """Let the merchant's stores work again. Raises as block_merchant(), Conflict `not_blocked`. Needs transaction()."""
    _switch(merchant_id, True, reason, actor)


def _switch(merchant_id: uuid.UUID, is_active: bool, reason: str, actor: Actor) -> None:
    words = reason_of(reason)
    query = select(Merchant).where(Merchant.id == merchant_id).with_for_update(key_share=True)
    merchant = db.session.scalar(query.execution_options(populate_existing=True))
    if merchant is None:
        raise NotFound("There is no such merchant.")
    if merchant.is_active is is_active:
        if is_active:
            raise Conflict("This merchant is not blocked.", code="not_blocked")
        raise Conflict("This merchant is blocked already.", code="already_blocked")
    merchant.is_active = is_active
    db.session.flush()
    record_audit(
        "merchant.unblocked" if is_active else "merchant.blocked",
        actor=actor,
        subject=("merchant", merchant_id),
        before={"is_active": not is_active},
        after={"is_active": is_active},
        reason=words,
    )
    stores.changed()
