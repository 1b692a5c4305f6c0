"""A customer's PDF on the pages of everybody who sees the order: looked at as a picture, saved as what it is."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from io import BytesIO

import pytest
from PIL import Image
from werkzeug.test import TestResponse

from portal.core.actors import CUSTOMER
from portal.core.db import transaction
from portal.core.uploads.check import check_upload
from portal.orders.models import ReceiptKind
from portal.orders.queries import get_order
from portal.orders.receipts import add_receipt
from portal.orders.record import OrderRecord
from tests.sent_files import LARGEST, hidden_script
from tests.web.desk import Desk
from tests.web.orders.test_order_page import everybody, page_of

_ATTRIBUTE = re.compile(r'<(\w+)\b[^>]*?\b(?:src|data|href)="([^"]*/receipts/[^"]*)"([^>]*)>')


def paid_with_a_pdf(desk: Desk, raw: bytes) -> OrderRecord:
    order = desk.payin(1500_00, claimed=True)
    upload = check_upload(raw, LARGEST, uploader="test")
    with transaction():
        add_receipt(get_order(order.id, lock=True), upload, ReceiptKind.PAYMENT, actor=CUSTOMER)
    return order


def assert_shown_as_a_picture(page: str, get: Callable[[str], TestResponse], raw: bytes) -> None:
    """Each element that leads to the receipt shows a JPEG, or is a link that saves the PDF; both as attachments."""
    found = [(tag, html.unescape(address), more) for tag, address, more in _ATTRIBUTE.findall(page)]
    assert {tag for tag, _, _ in found} == {"a", "img"}
    saved = 0
    for tag, address, more in found:
        answer = get(address)
        assert answer.status_code == 200, address
        assert answer.headers["Content-Disposition"].startswith("attachment; "), address
        assert answer.headers["Content-Security-Policy"].startswith("sandbox;"), address
        if answer.data == raw:
            assert (tag, answer.mimetype) == ("a", "application/pdf"), address
            assert re.search(r"\bdownload\b", more), address
            saved += 1
        else:
            assert answer.mimetype == "image/jpeg", address
            assert Image.open(BytesIO(answer.data)).format == "JPEG", address
    assert saved == 1
    assert not re.search(r"<(iframe|embed|object)\b", page)


@pytest.mark.proves("tried S15")
def test_every_portals_order_page_shows_a_picture_of_the_pdf_and_saves_the_pdf(desk: Desk) -> None:
    raw = next(iter(hidden_script().values()))
    order = paid_with_a_pdf(desk, raw)
    for home, browser in everybody(desk).items():
        page = browser.get(page_of(order, home))
        assert page.status_code == 200, home
        assert_shown_as_a_picture(page.text, browser.get, raw)


@pytest.mark.proves("tried S15")
def test_the_traders_queue_shows_a_picture_of_the_pdf_and_saves_the_pdf(desk: Desk) -> None:
    raw = next(iter(hidden_script().values()))
    paid_with_a_pdf(desk, raw)
    assert_shown_as_a_picture(desk.browser.get("/trader/queue").text, desk.browser.get, raw)
