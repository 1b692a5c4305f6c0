"""Receipts: how they are kept with an order, and that they never move money."""

from __future__ import annotations

import io

import psycopg
import pytest
from PIL import Image

from portal.core.actors import CUSTOMER
from portal.core.db import hot, transaction
from portal.core.errors import NotFound
from portal.core.files import get_files
from portal.core.uploads.check import check_upload
from portal.ledger.models import AccountKind
from portal.orders import receipts
from portal.orders.models import ReceiptKind
from portal.orders.queries import get_order
from portal.orders.receipts import (
    ReceiptNotExpected,
    ReceiptRecord,
    TooManyReceipts,
    add_receipt,
    get_receipt,
    list_look_alikes,
    list_receipts,
    near_looks,
)
from portal.orders.record import OrderRecord
from portal.orders.service import cancel_order, claim_payin
from tests.scene import Scene
from tests.sent_files import LARGEST, receipt_pdf, screenshot

# --- the verb -----------------------------------------------------------------------------------


@pytest.fixture
def payin(scene: Scene) -> OrderRecord:
    scene.requisite(scene.trader())
    return scene.payin()


def attach(
    order: OrderRecord, raw: bytes | None = None, kind: ReceiptKind = ReceiptKind.PAYMENT
) -> ReceiptRecord:
    upload = check_upload(screenshot() if raw is None else raw, LARGEST, uploader="test")
    with transaction():
        return add_receipt(get_order(order.id, lock=True), upload, kind, actor=CUSTOMER)


def test_a_receipt_is_a_row_and_a_file_and_moves_no_money(scene: Scene, payin: OrderRecord) -> None:
    before = (
        hot("SELECT id, balance FROM ledger_account ORDER BY id"),
        hot("SELECT count(*) FROM ledger_posting"),
    )
    receipt = attach(payin)
    assert get_files().read(receipt.file_key)[:3] == b"\xff\xd8\xff"
    assert list_receipts([payin.id]) == [receipt]
    assert get_receipt(payin.id, receipt.id) == receipt
    assert (
        hot("SELECT id, balance FROM ledger_account ORDER BY id"),
        hot("SELECT count(*) FROM ledger_posting"),
    ) == before
    after = get_order(payin.id)
    assert (after.status, after.version) == (payin.status, payin.version + 1)
    assert scene.store_balance(AccountKind.AVAILABLE) == 0


def test_what_there_is_to_see_is_kept_with_the_receipt(payin: OrderRecord) -> None:
    receipt = attach(payin)
    assert (receipt.width, receipt.height, receipt.pages, receipt.is_blank) == (360, 640, 1, False)


@pytest.mark.parametrize(
    ("size", "colour"), [((2, 2), "white"), ((700, 900), "white"), ((300, 300), "#336699")]
)
def test_a_picture_of_one_colour_is_blank(payin: OrderRecord, size: tuple[int, int], colour: str) -> None:
    """The 2 x 2 white picture that once proved a payout."""
    output = io.BytesIO()
    Image.new("RGB", size, colour).save(output, "PNG")
    receipt = attach(payin, output.getvalue())
    assert (receipt.width, receipt.height, receipt.is_blank) == (*size, True)


@pytest.mark.proves("tried S15")
def test_a_pdf_is_kept_with_a_picture_of_it(payin: OrderRecord) -> None:
    raw = receipt_pdf(pages=2)
    receipt = attach(payin, raw)
    assert (receipt.content_type, receipt.pages, receipt.is_blank) == ("application/pdf", 2, False)
    assert receipt.picture_key is not None
    assert get_files().read(receipt.file_key) == raw
    with Image.open(io.BytesIO(get_files().read(receipt.picture_key))) as picture:
        assert picture.format == "JPEG"
        assert picture.width == receipt.width
        assert picture.height > 2 * (receipt.height or 0)
    assert get_receipt(payin.id, receipt.id) == receipt


def test_a_receipt_that_is_refused_leaves_no_file_behind(
    payin: OrderRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    put: list[str] = []
    files = get_files()
    keep = files.put

    def noted(_self: object, content: bytes) -> str:
        put.append(keep(content))
        return put[-1]

    upload = check_upload(receipt_pdf(), LARGEST, uploader="test")
    monkeypatch.setattr(type(files), "put", noted)
    monkeypatch.setattr(receipts, "_INSERT", "SELECT 1 / 0 AS n")
    with pytest.raises(psycopg.DataError), transaction():
        add_receipt(get_order(payin.id, lock=True), upload, ReceiptKind.PAYMENT, actor=CUSTOMER)
    assert len(put) == 2
    for key in put:
        with pytest.raises(NotFound):
            files.read(key)


def test_receipt_and_claim_fit_into_one_transaction(payin: OrderRecord) -> None:
    upload = check_upload(screenshot(), LARGEST, uploader="test")
    with transaction():
        order = get_order(payin.id, lock=True)
        add_receipt(order, upload, ReceiptKind.PAYMENT, actor=CUSTOMER)
        claim_payin(order, None, receipt_required=True, actor=CUSTOMER)
    assert get_order(payin.id).status == "awaiting_confirmation"


def test_the_same_file_again_is_the_same_receipt(payin: OrderRecord) -> None:
    assert attach(payin).id == attach(payin).id
    assert len(list_receipts([payin.id])) == 1


@pytest.mark.proves("tried S4")
def test_the_same_picture_with_something_behind_its_end_is_the_same_receipt(payin: OrderRecord) -> None:
    assert attach(payin).id == attach(payin, screenshot() + b"\0").id


@pytest.mark.proves("ASVS 21")
def test_the_sixth_receipt_is_refused(payin: OrderRecord) -> None:
    for number in range(5):
        attach(payin, screenshot(text=str(number)))
    with pytest.raises(TooManyReceipts):
        attach(payin, screenshot(text="6"))


@pytest.mark.parametrize("kind", [ReceiptKind.PAYMENT, ReceiptKind.PAYOUT_PROOF])
def test_a_finished_order_and_the_wrong_side_take_none(payin: OrderRecord, kind: ReceiptKind) -> None:
    if kind is ReceiptKind.PAYMENT:
        with transaction():
            cancel_order(get_order(payin.id, lock=True), None, actor=CUSTOMER)
    with pytest.raises(ReceiptNotExpected):
        attach(payin, kind=kind)
    assert list_receipts([payin.id]) == []


def test_a_receipt_of_another_order_is_not_found(scene: Scene, payin: OrderRecord) -> None:
    other = scene.payin(1600_00)
    receipt = attach(payin)
    with pytest.raises(NotFound):
        get_receipt(other.id, receipt.id)


# --- look-alikes --------------------------------------------------------------------------------


def test_the_same_file_in_another_order_is_a_hint(scene: Scene, payin: OrderRecord) -> None:
    other = scene.payin(1600_00)
    first, second = attach(payin), attach(other)
    (hint,) = list_look_alikes(second)
    assert (hint.receipt_id, hint.order_id, hint.is_same_file) == (second.id, payin.id, True)
    assert [found.order_id for found in list_look_alikes(first)] == [other.id]


@pytest.mark.proves("tried S4")
@pytest.mark.parametrize("raw", [screenshot(), receipt_pdf()])
def test_another_orders_file_with_something_behind_its_end_is_that_file(
    scene: Scene, payin: OrderRecord, raw: bytes
) -> None:
    other = scene.payin(1600_00)
    attach(payin, raw)
    (hint,) = list_look_alikes(attach(other, raw + b"\0\0"))
    assert (hint.order_id, hint.is_same_file) == (payin.id, True)


def test_what_was_kept_before_pixels_were_compared_is_compared_by_its_bytes(
    scene: Scene, payin: OrderRecord
) -> None:
    other = scene.payin(1600_00)
    attach(payin)
    with transaction():
        hot("UPDATE receipt SET seen_sha256 = NULL, look = NULL WHERE order_id = %(id)s", {"id": payin.id})
    (hint,) = list_look_alikes(attach(other))
    assert (hint.order_id, hint.is_same_file) == (payin.id, True)


def test_the_same_picture_saved_anew_is_a_look_alike(scene: Scene, payin: OrderRecord) -> None:
    other = scene.payin(1600_00)
    attach(payin, screenshot("PNG"))
    (hint,) = list_look_alikes(attach(other, screenshot("JPEG", quality=60)))
    assert not hint.is_same_file


def test_another_picture_and_a_blank_one_are_no_look_alikes(scene: Scene, payin: OrderRecord) -> None:
    other = scene.payin(1600_00)
    attach(payin)
    rotated = Image.open(io.BytesIO(screenshot())).rotate(90, expand=True)
    output = io.BytesIO()
    rotated.save(output, "PNG")
    assert list_look_alikes(attach(other, output.getvalue())) == []
    blank = io.BytesIO()
    Image.new("RGB", (50, 50), "white").save(blank, "PNG")
    assert check_upload(blank.getvalue(), LARGEST, uploader="test").look is None


@pytest.mark.proves("tried S15")
def test_the_screenshot_of_a_pdf_is_its_look_alike(scene: Scene, payin: OrderRecord) -> None:
    other = scene.payin(1600_00)
    receipt = attach(payin, receipt_pdf())
    seen = io.BytesIO(get_files().read(receipt.picture_key or ""))
    smaller = io.BytesIO()
    Image.open(seen).resize((500, 707)).save(smaller, "PNG")
    (hint,) = list_look_alikes(attach(other, smaller.getvalue()))
    assert (hint.order_id, hint.is_same_file) == (payin.id, False)


def test_near_hashes_are_all_within_two_bits() -> None:
    near = near_looks(-5)
    assert len(set(near)) == len(near) == 1 + 64 + 64 * 63 // 2
    assert max(((look ^ -5) & (1 << 64) - 1).bit_count() for look in near) == 2
    assert near_looks(None) == []
    assert all(-(1 << 63) <= look < 1 << 63 for look in near)
