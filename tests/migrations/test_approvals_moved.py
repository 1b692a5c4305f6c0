"""Requests for access from before there was one room: those that wait are asked for again, those that are over stay told."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_migrate import downgrade, upgrade

from portal.approvals.marks import is_genuine
from portal.approvals.queries import get_request, look_at
from portal.approvals.service import decide_now
from portal.audit.chain_proof import prove_watched
from portal.core.db import db, hot, transaction
from portal.core.errors import Conflict
from portal.core.ids import new_id
from portal.core.permissions import Permission, Reach
from portal.identity.access.changes import AccessChange, get_access
from portal.identity.access.grants import apply_change
from portal.identity.models import MemberRole, Role, User
from portal.identity.people.models import MerchantMember
from portal.merchants.service import create_merchant
from tests.access.people import acting, person

FOLDER = str(Path(__file__).parents[2] / "migrations")
GRANT = {"payin:confirm": "team"}


@pytest.fixture
def own_app(worker: Any) -> Iterator[Flask]:
    app = worker.new_app(worker.new_database(f"approvals_{uuid.uuid4().hex[:6]}"))
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


def people() -> tuple[User, User]:
    with transaction():
        return person(Role.ADMIN, name="Ada"), person(Role.ADMIN, name="Ben")


def whom() -> uuid.UUID:
    """Somebody with a role, a role at a merchant, a grant and a denial."""
    with transaction():
        user = person(Role.SUPPORT, Role.MERCHANT, name="Sam")
        merchant = create_merchant(f"Acme {uuid.uuid4().hex}", actor=acting(user))
        db.session.add(MerchantMember(merchant_id=merchant.id, user_id=user.id, role=MemberRole.VIEWER.value))
        by = person(Role.ADMIN, name="Cleo")
        change = AccessChange(
            grant={Permission.MERCHANT_VIEW: Reach.TEAM}, deny=frozenset({Permission.NUMBER_REVEAL})
        )
        # Past the room of today: its table is not there before the upgrade.
        access = get_access(user.id, lock=True)
        apply_change(access, change, "as they are", granted_by=by.id, approved_by=None, actor=acting(by))
        return user.id


def asked_before(
    by: User, state: str = "waiting", decided_by: uuid.UUID | None = None, **row: Any
) -> uuid.UUID:
    """As the release before wrote it."""
    user_id, payload = whom(), {"add_roles": [], "remove_roles": [], "grant": GRANT, "deny": [], "clear": []}
    text = json.dumps([str(user_id), payload], sort_keys=True, separators=(",", ":"))
    values = {
        "id": new_id(), "user": user_id, "payload": json.dumps(payload), "by": by.id, "state": state,
        "hash": row.get("hash") or hashlib.sha256(text.encode()).digest(), "decided_by": decided_by,
        "life": row.get("life", "7 days"),
    }  # fmt: skip
    with transaction():
        hot(
            "INSERT INTO permission_request (id, user_id, payload, payload_hash, reason, requested_by, created_at,"
            " expires_at, state, decided_by, decided_at) VALUES (%(id)s, %(user)s, %(payload)s::jsonb, %(hash)s, 'Covers',"
            " %(by)s, now() - interval '1 day', now() - interval '1 day' + %(life)s::interval, %(state)s, %(decided_by)s,"
            " CASE WHEN %(decided_by)s::uuid IS NOT NULL THEN now() - interval '1 hour' END)",
            values,
        )
    return values["id"]


def rows() -> list[dict[str, Any]]:
    with transaction():
        return hot("SELECT * FROM permission_request ORDER BY id")


def test_what_waited_is_asked_for_again_after_the_upgrade_and_what_was_over_stays_told(
    own_app: Flask,
) -> None:
    ada, ben = people()
    downgrade(directory=FOLDER, revision="0052")
    waiting = asked_before(ada)
    approved = asked_before(ada, "approved", ben.id)
    refused = asked_before(ada, "refused", ben.id)
    withdrawn = asked_before(ada, "withdrawn", ada.id)
    overdue = asked_before(ada, "withdrawn", ada.id, life="1 hour")
    before = rows()
    upgrade(directory=FOLDER)
    with transaction():
        states = {key: get_request(key).state for key in (waiting, approved, refused, withdrawn, overdue)}
        decided = [get_request(key).decided_by for key in (approved, refused, withdrawn)]
        request = get_request(waiting)
        assert request.reason == "Covers"
        seen = look_at(request).seen
    assert list(states.values()) == ["stale", "approved", "refused", "withdrawn", "expired"]
    assert decided == [ben.id, ben.id, None]
    assert {row["state"] for row in rows()} == {"approved", "refused", "withdrawn"}, (
        "nothing waits in two places"
    )
    with transaction():
        assert prove_watched() is None
    downgrade(directory=FOLDER, revision="0052")
    after = rows()
    over = [
        [row | {"decided_at": None} for row in found if row["id"] != waiting] for found in (after, before)
    ]
    assert over[0] == over[1]
    assert [row["state"] for row in after if row["id"] == waiting] == ["withdrawn"]
    upgrade(directory=FOLDER)
    with transaction():
        assert prove_watched() is None
    with pytest.raises(Conflict):
        decide_now(waiting, seen, is_approved=True, actor=acting(ben))


def test_a_row_that_somebody_wrote_before_the_upgrade_is_approved_by_nobody_after_it(own_app: Flask) -> None:
    """The former hash had no key: whoever writes rows could make it for a request in anybody's name."""
    ada, ben = people()
    downgrade(directory=FOLDER, revision="0052")
    forged, unsound = asked_before(ada), asked_before(ada, hash=b"\1" * 32)
    upgrade(directory=FOLDER)
    for key in (forged, unsound):
        with transaction():
            request = get_request(key)
            assert not is_genuine(request)
            seen = look_at(request).seen
        with pytest.raises(Conflict):
            decide_now(key, seen, is_approved=True, actor=acting(ben))
