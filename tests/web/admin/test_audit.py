"""The audit log as administrators read it: found, narrowed, opened, exported, with the state of its chain."""

from __future__ import annotations

import csv
import html
import io
import re
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from portal.approvals.access import change_access
from portal.audit.integrity import note_verification, verify_chain
from portal.audit.sealing import seal_waiting
from portal.audit.service import record_audit
from portal.core.actors import Actor, ActorKind
from portal.core.db import hot, transaction
from portal.core.permissions import Permission
from portal.identity.access.changes import AccessChange
from portal.identity.models import Role
from tests.web.admin.office import Office, column
from tests.web.desk import Browser, Desk, new_user


def note(office: Office, action: str = "setting.changed", subject: str = "", **fields: object) -> int:
    actor = Actor(ActorKind.ADMIN, office.ben.id)
    with transaction():
        record_audit(
            action,
            actor=actor,
            subject=("setting", subject or uuid.uuid4().hex),
            reason="Test",
            **fields,  # type: ignore[arg-type]
        )
        return int(hot("SELECT max(id) AS id FROM audit_entry")[0]["id"])


def shown(office: Office, query: str) -> str:
    answer = office.browser.get(f"/admin/audit?{query}")
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def rows(page: str) -> int:
    return page.count('data-label="When"')


def test_entries_are_found_by_who_what_and_to_what(office: Office, desk: Desk) -> None:
    subject = uuid.uuid4().hex
    note(office, subject=subject)
    with transaction():
        hot("UPDATE users SET name = 'Benjamin' WHERE id = %(id)s", {"id": office.ben.id})
    for query in (
        f"subject=setting:{subject}",
        f"subject={subject}",
        f"who={office.ben.email}",
        f"who={office.ben.id}",
    ):
        page = shown(office, query)
        assert rows(page) == 1, query
        assert "Setting changed" in page
        assert "Benjamin" in page
    assert rows(shown(office, f"who={office.ben.id}&action=trader.blocked")) == 0
    assert rows(shown(office, f"who={office.ben.id}&action=setting.changed")) == 1
    assert rows(shown(office, "who=nobody-has-this-name")) == 0
    office.post(f"/admin/traders/{desk.trader.id}/block", {"reason": "Late"}, htmx=False)
    page = shown(office, f"subject=trader:{desk.trader.id}&action=trader.blocked")
    assert f'href="/admin/traders/{desk.trader.id}"' in page


def test_a_period_holds_its_days_and_nothing_else(office: Office) -> None:
    entry, today = note(office), datetime.now(UTC).date()
    who = f"who={office.ben.id}"
    assert column("SELECT id FROM audit_entry WHERE id = %(id)s", id=entry) == [entry]
    for since, until, count in ((0, 0, 1), (-3, 0, 1), (-3, -2, 0), (2, 5, 0)):
        days = [(today + timedelta(days=shift)).isoformat() for shift in (since, until)]
        assert rows(shown(office, f"{who}&from={days[0]}&to={days[1]}")) == count, days
    assert office.browser.get("/admin/audit?from=yesterday").status_code == 400


def test_a_period_is_also_found_by_the_names_that_it_had_in_addresses(office: Office) -> None:
    note(office)
    today = datetime.now(UTC).date()
    who, day, earlier = f"who={office.ben.id}", today.isoformat(), (today - timedelta(days=3)).isoformat()
    for query, count in ((f"since={day}&until={day}", 1), (f"since={earlier}&until={earlier}", 0)):
        page = shown(office, f"{who}&{query}")
        assert rows(page) == count, query
        assert f"from={query[6:16]}" in page, "what the page leads to has the names of today"
    answer = office.browser.get(f"/admin/audit.csv?{who}&since={earlier}&until={earlier}")
    assert len(list(csv.reader(io.StringIO(answer.text)))) == 1
    for query in ("since=yesterday", f"since={day}&from={day}", f"until={day}&until={day}"):
        assert office.browser.get(f"/admin/audit?{query}").status_code == 400, query


def test_pages_hold_every_entry_once_both_ways(office: Office) -> None:
    for _ in range(60):
        note(office)
    for sort in ("", "&sort=at"):
        seen: list[str] = []
        url = f"who={office.ben.id}{sort}"
        while url:
            page = shown(office, url)
            seen += re.findall(r'href="/admin/audit/(\d+)"', page)
            more = re.search(r'href="/admin/audit\?([^"]*after=[^"]*)"', page)
            url = html.unescape(more[1]) if more else ""
        assert len(seen) == len(set(seen)) == 60
        assert sorted(seen, key=int, reverse=not sort) == seen


@pytest.mark.proves("ASVS 41")
def test_one_entry_shows_what_changed_masked_and_its_seal(office: Office) -> None:
    entry = note(
        office, before={"limit": 5, "api_key": "nst_live_old"}, after={"limit": 7, "api_key": "nst_live_new"}
    )
    page = office.browser.get(f"/admin/audit/{entry}").get_data(as_text=True)
    for words in ("<code>limit</code>", ">5<", ">7<", "***", "It waits for the sealer."):
        assert words in page
    assert "nst_live" not in page
    with transaction():
        while seal_waiting():
            pass
    page = office.browser.get(f"/admin/audit/{entry}").get_data(as_text=True)
    sealed = column("SELECT encode(hash, 'hex') FROM audit_seal WHERE entry_id = %(id)s", id=entry)
    assert sealed[0] in page
    assert office.browser.get(f"/admin/audit/{2**62}").status_code == 404


def test_the_state_of_the_chain_is_said_after_a_verification(office: Office) -> None:
    with transaction():
        note_verification(verify_chain(), 0, actor=Actor(ActorKind.OPS))
        while seal_waiting():
            pass
    for broken, words in (((), "it holds"), (("link 3: gone",), "it is broken")):
        with transaction():
            verdict = replace(verify_chain(), findings=broken)
            note_verification(verdict, 0, actor=Actor(ActorKind.OPS))
        page = shown(office, "")
        assert words in page
    head = column("SELECT encode(hash, 'hex') FROM audit_seal ORDER BY sequence DESC LIMIT 1")[0]
    assert f"head {head[:12]}" in page


def test_the_file_takes_a_permission_of_its_own_and_is_written_down(office: Office) -> None:
    subject = uuid.uuid4().hex
    note(office, subject=subject)
    answer = office.browser.get(f"/admin/audit.csv?subject={subject}&columns=at&columns=name&columns=reason")
    read = list(csv.reader(io.StringIO(answer.get_data(as_text=True).lstrip("\ufeff"))))
    assert read[1][1:] == ["Test", "setting.changed"]
    sql = "SELECT after->'narrowed_to'->>'subject' FROM audit_entry WHERE action = 'audit.exported' ORDER BY id DESC"
    assert column(sql)[0] == subject
    with transaction():
        change = AccessChange(deny=frozenset({Permission.AUDIT_EXPORT}))
        change_access(office.ada.id, change, "No files", actor=Actor(ActorKind.ADMIN, office.ben.id))
    assert office.browser.get("/admin/audit.csv").status_code == 403
    assert "/admin/audit.csv" not in shown(office, "")


def test_support_does_not_read_the_log(office: Office) -> None:
    browser = Browser(office.app.test_client())
    assert browser.sign_in(new_user(Role.SUPPORT).email).status_code == 303
    assert browser.get("/admin/audit").status_code == 403
