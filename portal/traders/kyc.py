"""Verifying traders: the documents they have shown, the decision with its reason, and when it runs out."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select

from portal.audit.service import record_audit
from portal.core.actors import SYSTEM, Actor
from portal.core.db import db, hot
from portal.core.errors import Conflict, Forbidden, NotFound, ValidationFailed
from portal.core.ids import new_id
from portal.core.text_rules import reason_of
from portal.core.uploads.check import CleanFile
from portal.core.uploads.keeping import kept
from portal.traders.kyc_models import DocumentKind, Outcome, TraderDecision, TraderDocument
from portal.traders.models import Trader, TraderStatus
from portal.traders.queries import get_trader
from portal.traders.service import set_status

MAX_DOCUMENTS = 20
_STATUS_AFTER = {
    Outcome.VERIFIED: TraderStatus.VERIFIED,
    Outcome.REFUSED: TraderStatus.PENDING,
    Outcome.WITHDRAWN: TraderStatus.SUSPENDED,
    Outcome.EXPIRED: TraderStatus.PENDING,
}
_DUE = """
SELECT id FROM trader WHERE status = 'verified' AND verified_until <= now()
 ORDER BY verified_until LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
"""


def add_document(
    trader_id: uuid.UUID, upload: CleanFile, kind: DocumentKind, *, actor: Actor
) -> TraderDocument:
    """Keep a checked file (portal.core.uploads.check). The same file again gives the document that is there.

    Raises Conflict `too_many_documents`, StorageFull, NotFound. Locks the trader. Needs transaction().
    """
    get_trader(trader_id, lock=True)
    present = list_documents(trader_id)
    for document in present:
        if upload.is_same_as(document.sha256, document.seen_sha256):
            return document
    if len(present) >= MAX_DOCUMENTS:
        raise Conflict(f"This trader has {len(present)} documents already.", code="too_many_documents")
    with kept(upload) as files:
        document = TraderDocument(
            id=new_id(), trader_id=trader_id, kind=kind.value, file_key=files.file_key,
            picture_key=files.picture_key, content_type=upload.content_type, size_bytes=len(upload.content),
            sha256=upload.sha256, seen_sha256=upload.seen_sha256, pages=upload.pages, uploaded_by=actor.id,
        )  # fmt: skip
        db.session.add(document)
        db.session.flush()
        _note("trader_document.added", trader_id, actor, {"document": document.id, "kind": kind.value})
    return document


def list_documents(trader_id: uuid.UUID) -> Sequence[TraderDocument]:
    """What a trader has shown, the newest first."""
    query = select(TraderDocument).where(TraderDocument.trader_id == trader_id)
    return db.session.scalars(query.order_by(TraderDocument.id.desc())).all()


def open_document(trader_id: uuid.UUID, document_id: uuid.UUID, *, actor: Actor) -> TraderDocument:
    """One document of this trader; that it was opened is audited. Raises NotFound. Needs transaction()."""
    query = select(TraderDocument).where(
        TraderDocument.id == document_id, TraderDocument.trader_id == trader_id
    )
    document = db.session.scalar(query)
    if document is None:
        raise NotFound("There is no such document.")
    _note("trader_document.opened", trader_id, actor, {"document": document.id, "kind": document.kind})
    return document


def list_decisions(trader_id: uuid.UUID, limit: int = 50) -> Sequence[TraderDecision]:
    """What was decided about a trader, the newest first."""
    query = select(TraderDecision).where(TraderDecision.trader_id == trader_id)
    return db.session.scalars(query.order_by(TraderDecision.id.desc()).limit(limit)).all()


def decide_verification(
    trader_id: uuid.UUID, outcome: Outcome, reason: str, *, valid_until: datetime | None = None, actor: Actor
) -> None:
    """Verify a trader (until a moment, UTC, or for good), refuse it, or take it back.

    Raises ValidationFailed (reason, valid_until, documents), Forbidden for oneself, Conflict `already_decided`
    for what changes nothing, NotFound. Locks the trader. Needs transaction().
    """
    trader = get_trader(trader_id, lock=True)
    if actor.id is None or outcome is Outcome.EXPIRED:
        raise ValueError("a person verifies; the clock expires")
    if actor.id == trader.user_id:
        raise Forbidden("Nobody verifies themselves.", code="not_for_oneself")
    words = reason_of(reason)
    _check(trader, outcome, valid_until)
    _decide(trader_id, outcome, words, valid_until, actor)


def _check(trader: Trader, outcome: Outcome, valid_until: datetime | None) -> None:
    is_verified = trader.status == TraderStatus.VERIFIED
    if outcome is not Outcome.VERIFIED and is_verified != (outcome is Outcome.WITHDRAWN):
        raise Conflict("The trader's verification has changed meanwhile.", code="already_decided")
    if outcome is not Outcome.VERIFIED:
        return
    if valid_until is not None and valid_until <= db.session.execute(select(func.now())).scalar_one():
        raise ValidationFailed.of("valid_until", "in_the_past", "Choose a day that is to come.")
    if not list_documents(trader.id):
        raise ValidationFailed.of("documents", "required", "Attach a document first.")


def _decide(
    trader_id: uuid.UUID, outcome: Outcome, reason: str, valid_until: datetime | None, actor: Actor
) -> None:
    until = valid_until if outcome is Outcome.VERIFIED else None
    db.session.add(
        TraderDecision(
            id=new_id(), trader_id=trader_id, outcome=outcome.value, reason=reason, valid_until=until,
            decided_by=actor.id,
        )
    )  # fmt: skip
    set_status(trader_id, _STATUS_AFTER[outcome], verified_until=until, actor=actor)
    record_audit(
        f"trader.{outcome.value}", actor=actor, subject=("trader", trader_id), after={"valid_until": until},
        reason=reason,
    )  # fmt: skip


def expire_verifications(limit: int) -> int:
    """End the verifications whose time is over; those traders get no orders from then on. Needs transaction().

    Says how many it ended, `limit` at most. What another process works on is left to it.
    """
    due = [row["id"] for row in hot(_DUE, {"limit": limit})]
    for trader_id in due:
        _decide(trader_id, Outcome.EXPIRED, "The verification ran out.", None, SYSTEM)
    return len(due)


def _note(action: str, trader_id: uuid.UUID, actor: Actor, after: dict[str, object]) -> None:
    record_audit(action, actor=actor, subject=("trader", trader_id), after=after)
