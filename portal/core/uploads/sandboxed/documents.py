"""Makes a picture of an untrusted PDF: its first pages, one below the other."""

from __future__ import annotations

import math

from PIL import Image
from PIL.Image import Image as Picture
from pypdfium2 import PdfDocument, PdfiumError, PdfPage
from pypdfium2.raw import FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY

from .pictures import difference_hash, is_blank, seen_digest, written

SHOWN_PAGES = 3
PAGE_PIXELS = 2_500_000  # 160 dots an inch of A4
ALL_PIXELS = 10_000_000
MAX_SIDE = 8_000
LARGEST_SCALE = 4.0  # of 72 dots an inch: a page of one inch has 288 dots, not more
_GAP = 8


def read_document(raw: bytes) -> tuple[bytes, dict[str, object]]:
    """A JPEG of the first SHOWN_PAGES pages as far as they fit, and what is to be known of the document.

    `look`, `width` and `height` are of the first page, `seen` is of those shown. Scripts, links and forms are not run: a page is painted as
    it is printed. Raises ValueError with `encrypted_pdf` or `unreadable`.
    """
    try:
        document = PdfDocument(raw)
    except PdfiumError as error:
        protected = getattr(error, "err_code", None) in {FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY}
        raise ValueError("encrypted_pdf" if protected else "unreadable") from error
    count = len(document)
    if count < 1:
        raise ValueError("unreadable")
    first = _painted(document, 0)
    shown = [first]
    for number in range(1, min(count, SHOWN_PAGES)):
        page = _painted(document, number)
        if _pixels([*shown, page]) > ALL_PIXELS:
            break
        shown.append(page)
    return written(_below_each_other(shown)), {
        "look": difference_hash(first), "seen": seen_digest(shown), "is_blank": all(map(is_blank, shown)),
        "pages": count, "width": first.width, "height": first.height,
    }  # fmt: skip


def _painted(document: PdfDocument, number: int) -> Picture:
    try:
        page = document[number]
        bitmap = page.render(scale=_scale(page), draw_annots=True, rev_byteorder=True, limit_image_cache=True)
        picture: Picture = bitmap.to_pil().convert("RGB")
    except PdfiumError as error:
        raise ValueError("unreadable") from error
    return picture


def _scale(page: PdfPage) -> float:
    """As sharp as the pixels allow, whatever size the page says it has. Raises ValueError for no size at all."""
    width, height = page.get_size()
    if not (math.isfinite(width) and math.isfinite(height) and width > 0 and height > 0):
        raise ValueError("unreadable")
    return float(min(LARGEST_SCALE, math.sqrt(PAGE_PIXELS / (width * height)), MAX_SIDE / max(width, height)))


def _pixels(pages: list[Picture]) -> int:
    return max(page.width for page in pages) * sum(page.height + _GAP for page in pages)


def _below_each_other(pages: list[Picture]) -> Picture:
    if len(pages) == 1:
        return pages[0]
    width = max(page.width for page in pages)
    sheet = Image.new("RGB", (width, sum(page.height + _GAP for page in pages) - _GAP), "#888888")
    top = 0
    for page in pages:
        sheet.paste(page, ((width - page.width) // 2, top))
        top += page.height + _GAP
    return sheet
