"""Verifying traders: documents, the decision, and the clock that ends it."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from portal.core.db import hot, transaction
from portal.traders.kyc import expire_verifications
from tests.sent_files import receipt_pdf
from tests.web.admin.office import Office, column
from tests.web.auth.people import forget_proof
from tests.web.desk import Desk, picture

READY = "SELECT bool_and(trader_payin_on) FROM requisite WHERE trader_id = %(id)s"
STATUS = "SELECT status FROM trader WHERE id = %(id)s"
KEPT = "SELECT id FROM trader_document WHERE trader_id = %(id)s"


def unverified(desk: Desk) -> str:
    """The trader's page, of one whom nobody has verified."""
    with transaction():
        hot("UPDATE trader SET status = 'pending' WHERE id = %(id)s", {"id": desk.trader.id})
    return f"/admin/traders/{desk.trader.id}"


def show(office: Office, path: str, content: bytes | None = None, kind: str = "identity") -> Any:
    file = (io.BytesIO(content if content is not None else picture(1)), "../../passport.html")
    return office.post(f"{path}/documents", {"kind": kind, "file": file})


def decide(
    office: Office, path: str, outcome: str, reason: str = "Papers seen", until: str = "", **how: bool
) -> Any:
    sent = {"outcome": outcome, "reason": reason, "valid_until": until}
    return office.post(f"{path}/verification", sent, **how)


def test_a_trader_is_verified_by_documents_for_a_reason_and_works(office: Office, desk: Desk) -> None:
    path = unverified(desk)
    assert decide(office, path, "verified").status_code == 422
    assert show(office, path).status_code == 303
    assert decide(office, path, "verified", reason="").status_code == 422
    assert column(STATUS, id=desk.trader.id) == ["pending"]
    until = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    assert decide(office, path, "verified", until=until).status_code == 303
    assert column(STATUS, id=desk.trader.id) == ["verified"]
    assert column(READY, id=desk.trader.id) == [True]
    assert ("trader.verified", "Papers seen") in office.audited(desk.trader.id)
    page = office.browser.get(path).get_data(as_text=True)
    assert "Papers seen" in page


@pytest.mark.proves("ASVS 9", "ASVS 22")
def test_a_document_comes_back_as_an_attachment_and_its_opening_is_written_down(
    office: Office, desk: Desk, stranger: Desk
) -> None:
    path = unverified(desk)
    show(office, path)
    show(office, path)
    found = column(KEPT, id=desk.trader.id)
    assert len(found) == 1
    answer = office.browser.get(f"{path}/documents/{found[0]}")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="document-{found[0]}.jpg"'
    assert answer.mimetype == "image/jpeg"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert "trader_document.opened" in [action for action, _ in office.audited(desk.trader.id)]
    assert office.browser.get(f"/admin/traders/{stranger.trader.id}/documents/{found[0]}").status_code == 404
    assert desk.browser.get(f"{path}/documents/{found[0]}").status_code == 403


def test_a_document_with_something_behind_its_end_is_the_same_unless_it_has_pages_that_nobody_saw(
    office: Office, desk: Desk
) -> None:
    path = unverified(desk)
    for content in (picture(1), picture(1) + b"\0", receipt_pdf(), receipt_pdf() + b"\0"):
        show(office, path, content)
    assert len(column(KEPT, id=desk.trader.id)) == 2
    for content in (receipt_pdf(pages=4), receipt_pdf(pages=4) + b"\0"):
        show(office, path, content)
    assert len(column(KEPT, id=desk.trader.id)) == 4


def test_what_is_no_document_is_refused(office: Office, desk: Desk) -> None:
    path = unverified(desk)
    assert show(office, path, b"<script>alert(1)</script>").status_code == 415
    assert show(office, path, b"").status_code == 422
    assert show(office, path, kind="poem").status_code == 422
    assert office.post(f"{path}/documents", {"kind": "identity"}).status_code == 422
    assert column(KEPT, id=desk.trader.id) == []


def test_the_clock_ends_a_verification_and_the_trader_gets_no_orders(office: Office, desk: Desk) -> None:
    path = unverified(desk)
    show(office, path)
    decide(office, path, "verified", until=(datetime.now(UTC) + timedelta(days=1)).date().isoformat())
    with transaction():
        expire_verifications(50)
    assert column(STATUS, id=desk.trader.id) == ["verified"]
    with transaction():
        hot("UPDATE trader SET verified_until = now() WHERE id = %(id)s", {"id": desk.trader.id})
    with transaction():
        assert expire_verifications(50) == 1
    with transaction():
        assert expire_verifications(50) == 0
    assert column(STATUS, id=desk.trader.id) == ["pending"]
    assert column(READY, id=desk.trader.id) == [False]
    assert desk.scene.payin().status == "matching"
    assert "trader.expired" in [action for action, _ in office.audited(desk.trader.id)]


def test_a_verification_is_refused_or_taken_back_once(office: Office, desk: Desk) -> None:
    path = unverified(desk)
    assert decide(office, path, "withdrawn").status_code == 409
    assert decide(office, path, "refused", htmx=True).headers["HX-Redirect"].endswith(path)
    show(office, path)
    assert decide(office, path, "verified", until="2020-01-01").status_code == 422
    assert decide(office, path, "verified").status_code == 303
    assert decide(office, path, "withdrawn", reason="Papers were false").status_code == 303
    assert column(STATUS, id=desk.trader.id) == ["suspended"]
    assert column(READY, id=desk.trader.id) == [False]
    assert decide(office, path, "withdrawn").status_code == 409
    assert decide(office, path, "crowned").status_code == 422


def test_deciding_needs_the_permission_and_a_fresh_proof(office: Office, desk: Desk) -> None:
    path = unverified(desk)
    assert (
        desk.browser.post(f"{path}/verification", {"outcome": "verified", "reason": "Me"}).status_code == 403
    )
    show(office, path)
    forget_proof(office.ada)
    assert "/sudo" in decide(office, path, "verified").location
    assert column(STATUS, id=desk.trader.id) == ["pending"]
