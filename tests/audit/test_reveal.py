"""A masked number is shown in full for a reason, and never unseen."""

from __future__ import annotations

import pytest
from flask import Flask

from portal.audit.models import AuditEntry
from portal.core.actors import Actor, ActorKind
from portal.core.db import db, hot, transaction
from portal.core.errors import NotFound, ValidationFailed
from portal.core.ids import new_id
from portal.traders.reveal import reveal_number
from tests.scene import build_scene

SUPPORT = Actor(ActorKind.SUPPORT, new_id())


def test_a_number_is_revealed_with_an_entry_that_does_not_hold_it(app: Flask) -> None:
    with transaction():
        scene = build_scene()
    requisite = scene.requisite(scene.trader())
    with transaction():
        number = reveal_number(requisite.id, "The bank asks about a payment", actor=SUPPORT)
    assert number.endswith(requisite.number_last4)
    entry = db.session.scalars(db.select(AuditEntry).where(AuditEntry.actor_id == SUPPORT.id)).one()
    assert (entry.action, entry.subject_id) == ("number.revealed", str(requisite.id))
    assert entry.reason == "The bank asks about a payment"
    assert entry.after == {"number": f"***{requisite.number_last4}"}


def test_without_a_reason_or_a_requisite_nothing_is_revealed(app: Flask) -> None:
    with transaction():
        scene = build_scene()
    requisite = scene.requisite(scene.trader())
    with pytest.raises(ValidationFailed), transaction():
        reveal_number(requisite.id, "  why ", actor=SUPPORT)
    with pytest.raises(NotFound), transaction():
        reveal_number(new_id(), "The bank asks about it", actor=SUPPORT)
    assert (
        hot(
            "SELECT 1 FROM audit_entry WHERE action = 'number.revealed' AND actor_id = %(a)s",
            {"a": SUPPORT.id},
        )
        == []
    )
