"""`/account`: what somebody says of themselves is changed under their own name."""

from __future__ import annotations

import pytest
from flask import Flask

from portal.audit.models import AuditEntry
from portal.core.db import db
from tests.web.desk import open_desk


@pytest.fixture
def app(committing_app: Flask) -> Flask:
    return committing_app


@pytest.mark.proves("tried A8")
def test_a_new_name_is_written_down_with_who_gave_it_and_from_where(in_context: Flask) -> None:
    desk = open_desk(in_context)
    former = desk.user.name
    desk.browser.read_token("/account")
    sent = {"name": "Tara the second", "language": desk.user.locale, "timezone": desk.user.timezone}
    assert desk.browser.post("/account", sent | {"theme": "auto", "density": "compact"}).status_code == 303
    query = db.select(AuditEntry).where(
        AuditEntry.subject_id == str(desk.user.id), AuditEntry.action == "user.profile_changed"
    )
    (entry,) = db.session.scalars(query)
    assert (entry.actor_kind, entry.actor_id) == ("trader", desk.user.id)
    assert (entry.before, entry.after) == ({"name": former}, {"name": "Tara the second"})
    assert entry.session_id is not None
