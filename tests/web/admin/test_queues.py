"""The administrators' pages of queues and of errors."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from flask import Flask

from portal.core.db import hot, transaction
from portal.core.ids import new_id
from portal.error_reports.recorder import Counted
from portal.error_reports.service import add_reports
from tests.web.admin.office import Office, column
from tests.web.auth.people import forget_proof


@pytest.fixture(autouse=True)
def clean(in_context: Flask) -> Iterator[None]:
    def forget() -> None:
        with transaction():
            hot("DELETE FROM queue_stop")
            hot("DELETE FROM mail WHERE state = 'dead'")

    forget()
    yield
    forget()


def dead_mail() -> uuid.UUID:
    mail_id = new_id()
    with transaction():
        hot(
            "INSERT INTO mail (id, kind, recipient, locale, params, state, attempts, last_error, done_at) VALUES"
            " (%(id)s, 'new_order', 'who@example.test', 'en', '{}', 'dead', 10, 'the server said no', now())",
            {"id": mail_id},
        )
    return mail_id


def test_a_queue_is_paused_and_goes_on_for_a_reason_that_is_kept(office: Office) -> None:
    assert office.post("/admin/queues/mail/pause", {"reason": ""}).status_code == 422
    assert column("SELECT count(*) FROM queue_stop") == [0]
    assert office.post("/admin/queues/mail/pause", {"reason": "Their server is down"}).status_code == 303
    assert column("SELECT state FROM queue_stop WHERE queue = 'mail'") == ["paused"]
    assert "Their server is down" in office.browser.get("/admin/queues").text
    assert office.post("/admin/queues/mail/resumption", {"reason": "It is up again"}).status_code == 303
    assert column("SELECT count(*) FROM queue_stop") == [0]
    assert office.audited("mail")[-2:] == [
        ("queue.paused", "Their server is down"),
        ("queue.resumed", "It is up again"),
    ]


def test_stopping_takes_a_fresh_proof_of_who_one_is(office: Office) -> None:
    forget_proof(office.ada)
    answer = office.post("/admin/queues/mail/drain", {"reason": "Before the move"})
    assert "/sudo" in answer.headers["Location"]
    assert column("SELECT count(*) FROM queue_stop") == [0]


def test_what_was_given_up_is_shown_without_its_receiver_and_tried_again(office: Office) -> None:
    mail_id = dead_mail()
    page = office.browser.get("/admin/queues/mail").text
    assert str(mail_id) in page
    assert "the server said no" in page
    assert "who@example.test" not in page
    assert office.post("/admin/queues/mail/replay", {"reason": "ok now", "letter": "x"}).status_code == 422
    assert office.post("/admin/queues/mail/replay", {"reason": "The server is up"}).status_code == 303
    stored = column("SELECT state FROM mail WHERE id = %(id)s", id=mail_id)
    assert stored == ["pending"]
    assert office.audited("mail")[-1] == ("queue.replayed", "The server is up")
    assert office.post("/admin/queues/mail/replay", {"reason": "Once more"}).status_code == 409
    with transaction():
        hot("DELETE FROM mail WHERE id = %(id)s", {"id": mail_id})


@pytest.mark.proves("tried N7")
def test_what_was_given_up_is_dismissed_for_a_reason(office: Office) -> None:
    mail_id = dead_mail()
    assert office.post("/admin/queues/mail/dismissal", {"reason": ""}).status_code == 422
    assert office.post("/admin/queues/mail/dismissal", {"reason": "Nobody reads it"}).status_code == 303
    assert column("SELECT state FROM mail WHERE id = %(id)s", id=mail_id) == ["dead"]
    page = office.browser.get("/admin/queues/mail").text
    assert str(mail_id) not in page
    assert office.audited("mail")[-1] == ("queue.dismissed", "Nobody reads it")
    for verb in ("dismissal", "replay"):
        assert office.post(f"/admin/queues/mail/{verb}", {"reason": "Once more"}).status_code == 409


def test_an_unknown_queue_is_not_there(office: Office) -> None:
    assert office.browser.get("/admin/queues/coffee").status_code == 404


def went_wrong(kind: str, request_id: str = "req-1") -> int:
    now = datetime.now(UTC)
    one = Counted(kind, f"print-{kind}", "portal.somewhere", "ERROR", now, now, f"words of {kind}")
    one.request_ids = [request_id]
    with transaction():
        add_reports([one], role="web", release="abc")
        return int(hot("SELECT id FROM error_report WHERE kind = %(k)s", {"k": kind})[0]["id"])


def test_errors_are_listed_narrowed_and_handled_until_they_come_again(office: Office) -> None:
    kind, other = f"Broken{uuid.uuid4().hex[:8]}", f"Other{uuid.uuid4().hex[:8]}"
    error_id = went_wrong(kind, "req-seven")
    went_wrong(other)
    # `text` is what the words were called in addresses that people kept.
    for name in ("q", "text"):
        lines = office.browser.get(f"/admin/errors?{name}={kind}&state=open").text.partition("<tbody>")[2]
        assert kind in lines, name
        assert other not in lines, name
    assert kind in office.browser.get("/admin/errors?request_id=req-seven").text
    one = office.browser.get(f"/admin/errors/{error_id}").text
    assert f"words of {kind}" in one
    assert "req-seven" in one
    assert office.post(f"/admin/errors/{error_id}/handled", {"reason": ""}).status_code == 422
    assert office.post(f"/admin/errors/{error_id}/handled", {"reason": "Mended in abd"}).status_code == 303
    assert column("SELECT handled_by FROM error_report WHERE id = %(id)s", id=error_id) == [office.ada.id]
    assert kind not in office.browser.get(f"/admin/errors?q={kind}&state=open").text.partition("<tbody>")[2]
    assert office.audited(error_id) == [("error.handled", "Mended in abd")]
    assert office.post(f"/admin/errors/{error_id}/handled", {"reason": "Again"}).status_code == 409
    went_wrong(kind)
    assert column("SELECT handled_at FROM error_report WHERE id = %(id)s", id=error_id) == [None]
    assert office.browser.get("/admin/errors/999999999").status_code == 404
