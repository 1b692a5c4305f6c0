"""What may be kept of what strangers send in."""

from __future__ import annotations

import io
import struct
import uuid
import zlib

import pytest
from PIL import Image, PngImagePlugin
from pypdfium2 import PdfDocument

from portal.core.errors import PayloadTooLarge, UnsupportedMedia, ValidationFailed
from portal.core.uploads.check import CleanFile, check_upload
from tests.sent_files import (
    LARGEST,
    PROTECTED,
    WITHOUT_PAGES,
    costly,
    hidden_script,
    receipt_pdf,
    screenshot,
    stream,
    words,
)


def checked(raw: bytes) -> CleanFile:
    return check_upload(raw, LARGEST, uploader=f"test:{uuid.uuid4()}")


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
        checked(raw)
    error = refused.value
    return error.errors[0].code if error.errors else error.code


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_pictures_are_written_anew_as_jpeg(kind: str) -> None:
    raw = screenshot(kind)
    clean = checked(raw)
    assert clean.content_type == "image/jpeg"
    assert clean.content != raw
    with Image.open(io.BytesIO(clean.content)) as image:
        assert (image.format, image.size) == ("JPEG", (360, 640))


def png_with_words() -> bytes:
    about = PngImagePlugin.PngInfo()
    about.add_text("Comment", "another receipt, promised")
    return screenshot("PNG", pnginfo=about)


def jpeg_with_exif() -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "another camera"
    return screenshot("JPEG", exif=exif)


def saved_anew(raw: bytes) -> bytes:
    output = io.BytesIO()
    PdfDocument(raw).save(output)
    return output.getvalue()


NULS = b"\0" * 7


@pytest.mark.proves("tried S4")
@pytest.mark.parametrize(
    ("raw", "again"),
    [
        (screenshot("PNG"), screenshot("PNG") + NULS),
        (screenshot("PNG"), png_with_words()),
        (screenshot("JPEG"), screenshot("JPEG") + NULS),
        (screenshot("JPEG"), jpeg_with_exif()),
        (screenshot("WEBP"), screenshot("WEBP") + NULS),
        (receipt_pdf(), receipt_pdf() + NULS),
        (receipt_pdf(), receipt_pdf() + b"% another one\n"),
        (receipt_pdf(), receipt_pdf().replace(b"/Root", b"/ID [<11> <22>] /Root")),
        (receipt_pdf(), saved_anew(receipt_pdf())),
        (receipt_pdf(pages=2), saved_anew(receipt_pdf(pages=2))),
    ],
)
def test_what_looks_the_same_is_the_same_file_whatever_hangs_on_to_it(raw: bytes, again: bytes) -> None:
    one, other = checked(raw), checked(again)
    assert one.sha256 != other.sha256
    assert one.seen_sha256 == other.seen_sha256 is not None


@pytest.mark.proves("tried S4")
def test_what_looks_different_is_another_file() -> None:
    seen = [
        checked(raw).seen_sha256
        for raw in (
            screenshot("PNG"), screenshot("PNG", text="1500.01"), screenshot("PNG", size=(361, 640)),
            receipt_pdf(), receipt_pdf(b"Paid 1500.01 RUB"), receipt_pdf(pages=2),
        )
    ]  # fmt: skip
    assert len({*seen}) == len(seen)


def test_a_document_that_was_not_seen_to_its_end_is_the_same_by_its_bytes_alone() -> None:
    for raw, is_same in ((receipt_pdf(), True), (receipt_pdf(pages=2), False)):
        one, other = checked(raw), checked(raw + NULS)
        assert other.is_same_as(one.sha256, one.seen_sha256) is is_same
        assert one.is_same_as(one.sha256, None)
        assert not other.is_same_as(one.sha256, None)


@pytest.mark.proves("ASVS 38")
def test_metadata_and_what_hangs_on_the_end_are_gone() -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera's serial number"
    raw = screenshot("JPEG", exif=exif) + b"<script>alert(1)</script>PK\x03\x04"
    clean = checked(raw)
    assert b"serial number" in raw
    assert b"serial number" not in clean.content
    assert b"<script>" not in clean.content
    assert not Image.open(io.BytesIO(clean.content)).getexif()


def test_a_photo_is_turned_as_its_camera_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert Image.open(io.BytesIO(checked(screenshot("JPEG", exif=exif)).content)).size == (640, 360)


def test_transparency_becomes_white() -> None:
    output = io.BytesIO()
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(output, "PNG")
    image = Image.open(io.BytesIO(checked(output.getvalue()).content))
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
        check_upload(b"\x89PNG" + b"0" * 2000, 2000, uploader="test")


def seen(clean: CleanFile) -> Image.Image:
    assert clean.picture is not None
    return Image.open(io.BytesIO(clean.picture))


@pytest.mark.proves("tried S15")
def test_a_pdf_is_kept_as_it_came_and_shown_as_a_picture() -> None:
    raw = receipt_pdf()
    clean = checked(raw)
    assert (clean.content, clean.content_type) == (raw, "application/pdf")
    picture = seen(clean)
    assert (picture.format, picture.width, picture.height, clean.pages) == (
        "JPEG",
        clean.width,
        clean.height,
        1,
    )
    assert min(picture.convert("L").crop((80, 200, 700, 330)).tobytes()) < 60, "the words are to be seen"


def test_the_first_pages_are_shown_below_each_other() -> None:
    clean = checked(receipt_pdf(pages=5))
    assert clean.pages == 5
    assert seen(clean).height == 3 * (clean.height or 0) + 16


@pytest.mark.proves("tried S15")
@pytest.mark.parametrize("how", hidden_script())
def test_a_script_that_hides_in_a_pdf_is_not_in_what_people_see(how: str) -> None:
    clean, plain = checked(hidden_script()[how]), checked(receipt_pdf())
    assert clean.picture == plain.picture
    assert clean.look == plain.look


@pytest.mark.proves("tried S1")
@pytest.mark.parametrize("how", costly())
def test_a_costly_pdf_comes_out_as_a_picture_or_as_a_refusal(how: str) -> None:
    try:
        clean = checked(costly()[how])
    except ValidationFailed as refused:
        code = refused.errors[0].code
    else:
        code = "shown" if seen(clean).width * seen(clean).height <= 10_000_000 else "too large"
    assert code in {"shown", "too_costly", "unreadable"}


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (PROTECTED, "encrypted_pdf"),
        (WITHOUT_PAGES, "unreadable"),
        (b"%PDF-1.7\n1 0 obj", "unreadable"),
        (b"%PDF-1.7\n" + b"\0" * 5000 + b"%%EOF", "unreadable"),
    ],
)
def test_a_pdf_that_cannot_be_shown_is_refused(raw: bytes, code: str) -> None:
    assert refusal_code(raw) == code


def test_an_empty_page_is_blank() -> None:
    assert checked(receipt_pdf(content=stream(b""))).is_blank
    assert not checked(receipt_pdf(content=stream(words(b"1500")))).is_blank
