"""Receipts: what may be kept, how it is kept, and that it never moves money."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from portal.core.actors import CUSTOMER
from portal.core.db import hot, transaction
from portal.core.errors import NotFound, PayloadTooLarge, UnsupportedMedia, ValidationFailed
from portal.core.files import LocalFiles, StorageFull, get_files
from portal.core.receipt_check import CleanFile, check_receipt
from portal.ledger.models import AccountKind
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


def screenshot(kind: str = "PNG", text: str = "1500.00", **options: object) -> bytes:
    image = Image.new("RGB", (360, 640), "white")
    draw = ImageDraw.Draw(image)
    for line in range(12):
        draw.text((20 + 31 * line % 150, 20 + 50 * line), f"{text} {line}", fill="black", font_size=34)
    output = io.BytesIO()
    image.save(output, kind, **options)  # type: ignore[arg-type]
    return output.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A few bytes that promise a huge picture."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0")
    chunks = [
        struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part))
        for part in (header, data)
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def refusal_code(raw: bytes) -> str:
    with pytest.raises((ValidationFailed, UnsupportedMedia)) as refused:
        check_receipt(raw)
    error = refused.value
    return error.errors[0].code if error.errors else error.code


# --- what may be kept ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_pictures_are_written_anew_as_jpeg(kind: str) -> None:
    raw = screenshot(kind)
    clean = check_receipt(raw)
    assert clean.content_type == "image/jpeg"
    assert clean.content != raw
    with Image.open(io.BytesIO(clean.content)) as image:
        assert (image.format, image.size) == ("JPEG", (360, 640))


@pytest.mark.proves("ASVS 38")
def test_metadata_and_what_hangs_on_the_end_are_gone() -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera's serial number"
    raw = screenshot("JPEG", exif=exif) + b"<script>alert(1)</script>PK\x03\x04"
    clean = check_receipt(raw)
    assert b"serial number" in raw
    assert b"serial number" not in clean.content
    assert b"<script>" not in clean.content
    assert not Image.open(io.BytesIO(clean.content)).getexif()


def test_a_photo_is_turned_as_its_camera_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert Image.open(io.BytesIO(check_receipt(screenshot("JPEG", exif=exif)).content)).size == (640, 360)


def test_transparency_becomes_white() -> None:
    output = io.BytesIO()
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(output, "PNG")
    image = Image.open(io.BytesIO(check_receipt(output.getvalue()).content))
    assert image.getpixel((10, 10)) == (255, 255, 255)


@pytest.mark.proves("ASVS 21")
@pytest.mark.parametrize("size", [(9_500, 9_500), (13_500, 13_500), (8_001, 10), (60_000, 60_000)])
def test_too_many_pixels_are_refused_before_they_are_decoded(size: tuple[int, int]) -> None:
    assert refusal_code(png_header(*size)) == "too_many_pixels"


@pytest.mark.proves("ASVS 21")
@pytest.mark.parametrize(
    "raw",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<html>",
        b"GIF89a" + b"\0" * 40,
        b"MZ" + b"\0" * 400,
        b"PK\x03\x04" + b"\0" * 40,
        b"%!PS-Adobe-3.0 EPSF-3.0",
        b"plain text",
    ],
)
def test_other_kinds_are_refused_whatever_they_are_called(raw: bytes) -> None:
    assert refusal_code(raw) == "file_type"


@pytest.mark.parametrize(
    "raw", [screenshot()[:700], screenshot("JPEG")[:400], b"\x89PNG\r\n\x1a\n" + b"0" * 99]
)
def test_damaged_pictures_are_refused(raw: bytes) -> None:
    assert refusal_code(raw) == "unreadable"


@pytest.mark.proves("ASVS 21")
def test_an_empty_file_and_a_too_large_one_are_refused() -> None:
    assert refusal_code(b"") == "empty"
    with pytest.raises(PayloadTooLarge):
        check_receipt(b"\x89PNG" + b"0" * 2000, max_bytes=2000)


@pytest.mark.proves("F28")
def test_the_decoder_may_not_write_files_or_take_a_gigabyte(tmp_path: Path) -> None:
    import subprocess
    import sys

    from portal.core import image_decoder

    for attempt in (
        "import os; os.write(os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY), b'x')",
        "bytearray(10**9)",
    ):
        code = f"import sys; sys.path.insert(0, {str(Path(image_decoder.__file__).parent)!r}); import image_decoder; "
        code += f"image_decoder.limit_resources(); {attempt}"
        target = str(tmp_path / "written")
        done = subprocess.run([sys.executable, "-c", code, target], capture_output=True, check=False)
        assert done.returncode != 0, attempt
    assert not (tmp_path / "written").exists() or (tmp_path / "written").stat().st_size == 0


def pdf(body: bytes) -> bytes:
    return b"%PDF-1.7\n1 0 obj\n" + body + b"\nendobj\ntrailer\n<<>>\n%%EOF\n"


def test_a_plain_pdf_is_kept_as_it_is() -> None:
    raw = pdf(b"<< /Type /Catalog /Lang (en) >>")
    assert check_receipt(raw) == CleanFile(raw, "application/pdf", check_receipt(raw).sha256)


@pytest.mark.parametrize(
    "body",
    [
        b"<< /OpenAction 2 0 R >>",
        b"<< /S /JavaScript /JS (app.alert(1)) >>",
        b"<< /S /J#61vaScript >>",
        b"<< /S /Launch /F (cmd.exe) >>",
        b"<< /Type /EmbeddedFile >>",
        b"<< /AA << >> >>",
        b"<< /Encrypt 5 0 R >>",
        b"<< /Type /ObjStm /Filter /FlateDecode >>\nstream\n"
        + zlib.compress(b"<< /S /JavaScript >>")
        + b"\nendstream",
    ],
)
def test_a_pdf_that_acts_or_hides_is_refused(body: bytes) -> None:
    assert refusal_code(pdf(body)) == "unsafe_pdf"


def test_an_incomplete_pdf_is_refused() -> None:
    assert refusal_code(b"%PDF-1.7\n1 0 obj") == "unreadable"


# --- how files are kept -------------------------------------------------------------------------


@pytest.mark.proves("ASVS 22")
def test_files_have_random_names_and_are_private(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)
    first, second = files.put(b"one"), files.put(b"one")
    assert first != second
    assert files.read(first) == b"one"
    (path,) = tmp_path.rglob(first)
    assert path.stat().st_mode & 0o077 == 0
    files.delete(first)
    files.delete(first)
    with pytest.raises(NotFound):
        files.read(first)


@pytest.mark.proves("ASVS 22")
@pytest.mark.parametrize(
    "key", ["../../etc/passwd", "/etc/passwd", "", "a" * 31, "A" * 32, "a" * 32 + "\n", "%2e%2e"]
)
def test_a_key_is_never_a_path(tmp_path: Path, key: str) -> None:
    with pytest.raises(NotFound):
        LocalFiles(tmp_path).read(key)


def test_a_full_disk_is_told_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import os

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull) as refused:
        LocalFiles(tmp_path).put(b"content")
    assert refused.value.status == 503
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


# --- the verb -----------------------------------------------------------------------------------


@pytest.fixture
def payin(scene: Scene) -> OrderRecord:
    scene.requisite(scene.trader())
    return scene.payin()


def attach(
    order: OrderRecord, raw: bytes | None = None, kind: ReceiptKind = ReceiptKind.PAYMENT
) -> ReceiptRecord:
    upload = check_receipt(screenshot() if raw is None else raw)
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


def test_receipt_and_claim_fit_into_one_transaction(payin: OrderRecord) -> None:
    upload = check_receipt(screenshot())
    with transaction():
        order = get_order(payin.id, lock=True)
        add_receipt(order, upload, ReceiptKind.PAYMENT, actor=CUSTOMER)
        claim_payin(order, None, receipt_required=True, actor=CUSTOMER)
    assert get_order(payin.id).status == "awaiting_confirmation"


def test_the_same_file_again_is_the_same_receipt(payin: OrderRecord) -> None:
    assert attach(payin).id == attach(payin).id
    assert len(list_receipts([payin.id])) == 1


@pytest.mark.proves("ASVS 21")
def test_the_sixth_receipt_is_refused(payin: OrderRecord) -> None:
    for number in range(5):
        attach(payin, pdf(b"(%d)" % number))
    with pytest.raises(TooManyReceipts):
        attach(payin, pdf(b"(6)"))


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
    assert check_receipt(blank.getvalue()).look is None


def test_near_hashes_are_all_within_two_bits() -> None:
    near = near_looks(-5)
    assert len(set(near)) == len(near) == 1 + 64 + 64 * 63 // 2
    assert max(((look ^ -5) & (1 << 64) - 1).bit_count() for look in near) == 2
    assert near_looks(None) == []
    assert all(-(1 << 63) <= look < 1 << 63 for look in near)
