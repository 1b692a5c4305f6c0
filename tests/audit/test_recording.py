"""What the audit log keeps, and that it stays as it was written."""

from __future__ import annotations

from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy.exc import DBAPIError

from portal.audit.models import AuditEntry
from portal.audit.service import record_audit
from portal.core.actors import Actor, ActorKind, Origin
from portal.core.db import db, hot, transaction
from portal.core.ids import new_id

ADMIN = Actor(ActorKind.ADMIN, new_id())


def the_entry() -> AuditEntry:
    entry = db.session.query(AuditEntry).order_by(AuditEntry.id.desc()).first()
    assert entry is not None
    return entry


def test_an_entry_says_who_did_what_from_where_and_why(app: Flask) -> None:
    origin = Origin("203.0.113.7", "Firefox", "request-1", uuid4())
    with transaction():
        record_audit(
            "setting.changed",
            actor=ADMIN,
            subject=("setting", "pay_window_s"),
            before={"value": 900, "sentence": "same"},
            after={"value": 600, "sentence": "same"},
            reason="Banks are fast today",
            origin=origin,
        )
    entry = the_entry()
    assert (entry.actor_kind, entry.actor_id) == ("admin", ADMIN.id)
    assert (entry.subject_kind, entry.subject_id) == ("setting", "pay_window_s")
    assert (entry.before, entry.after) == ({"value": 900}, {"value": 600})
    assert entry.reason == "Banks are fast today"
    assert (str(entry.ip), entry.request_id, entry.session_id) == (
        "203.0.113.7",
        "request-1",
        origin.session_id,
    )


def test_secrets_are_hidden_and_numbers_masked(app: Flask) -> None:
    with transaction():
        record_audit(
            "requisite.changed",
            actor=ADMIN,
            before={"password": "old", "number": "4111 1111 1111 1111"},
            after={
                "password": "new",
                "number": "4242 4242 4242 4242",
                "note": "card 5555555555554444 and 100",
                "inner": {"token_hash": "abc", "count": 3},
            },
        )
    entry = the_entry()
    assert entry.before == {"password": "***", "number": "***1111"}
    assert entry.after == {
        "password": "***",
        "number": "***4242",
        "note": "card ***4444 and 100",
        "inner": {"token_hash": "***", "count": 3},
    }


@pytest.mark.proves("ASVS 5")
def test_what_is_rolled_back_was_never_done(app: Flask) -> None:
    def undone() -> None:
        with transaction():
            record_audit("thing.undone", actor=ADMIN)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        undone()
    assert hot("SELECT 1 FROM audit_entry WHERE action = 'thing.undone'") == []


@pytest.mark.proves("ASVS 41")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entry SET reason = 'another'",
        "DELETE FROM audit_entry",
        "TRUNCATE audit_entry, audit_seal, audit_unsealed",
    ],
)
def test_an_entry_stays_as_it_was_written(app: Flask, statement: str) -> None:
    with transaction():
        record_audit("thing.done", actor=ADMIN)
    with pytest.raises(DBAPIError, match="its rows stay"), db.session.begin_nested():
        db.session.execute(db.text(statement))
