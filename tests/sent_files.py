"""Files as strangers send them: ordinary ones, broken ones, and those that want to do harm."""

from __future__ import annotations

import io
import zlib

from PIL import Image, ImageDraw

LARGEST = 10 * 1024 * 1024


def screenshot(
    kind: str = "PNG", text: str = "1500.00", *, size: tuple[int, int] = (360, 640), **options: object
) -> bytes:
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    for line in range(12):
        draw.text((20 + 31 * line % 150, 20 + 50 * line), f"{text} {line}", fill="black", font_size=34)
    output = io.BytesIO()
    image.save(output, kind, **options)  # type: ignore[arg-type]
    return output.getvalue()


def pdf(*objects: bytes, catalog: int = 1, more_trailer: bytes = b"") -> bytes:
    """A whole PDF of these objects, numbered from 1, with a right table of where they are."""
    raw, places = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(raw))
        raw += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start = len(raw)
    raw += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    raw += b"".join(b"%010d 00000 n \n" % place for place in places)
    raw += b"trailer\n<< /Size %d /Root %d 0 R %b >>\n" % (len(objects) + 1, catalog, more_trailer)
    return raw + b"startxref\n%d\n%%%%EOF\n" % start


def stream(content: bytes, entries: bytes = b"") -> bytes:
    return b"<< /Length %d %b >>\nstream\n%b\nendstream" % (len(content), entries, content)


FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"


def words(text: bytes) -> bytes:
    """A page's content: the words, large."""
    return b"BT /F1 30 Tf 40 700 Td (%b) Tj ET 40 300 m 500 320 l S 60 100 200 90 re f" % text


def receipt_pdf(
    text: bytes = b"Paid 1500.00 RUB", *, pages: int = 1, box: bytes = b"0 0 595 842", catalog: bytes = b"",
    page: bytes = b"", content: bytes | None = None, more: tuple[bytes, ...] = (),
) -> bytes:  # fmt: skip
    """A receipt of so many equal pages; entries and objects (from 5) can be added to it."""
    kids = b"3 0 R " * pages
    return pdf(
        b"<< /Type /Catalog /Pages 2 0 R %b >>" % catalog,
        b"<< /Type /Pages /Kids [%b] /Count %d >>" % (kids, pages),
        b"<< /Type /Page /Parent 2 0 R /MediaBox [%b] /Resources << /Font << /F1 %b >> >> /Contents 4 0 R %b >>"
        % (box, FONT, page),
        stream(words(text)) if content is None else content,
        *more,
    )


def hidden_script() -> dict[str, bytes]:
    """A script that runs when the PDF is opened, hidden in ways that a search over the bytes does not see."""
    script = b"<< /S /JavaScript /JS (app.alert(1)) >>"
    packed = b"5 0 " + script
    head = b"/Type /ObjStm /N 1 /First 4"
    opened = b"/OpenAction 5 0 R"
    hexed = packed.hex().encode() + b">"
    twice = zlib.compress(zlib.compress(packed))
    return {
        "a name with an escape": receipt_pdf(
            catalog=opened, more=(stream(packed, head.replace(b"/ObjStm", b"/Obj#53tm")),)
        ),
        "packed twice": receipt_pdf(
            catalog=opened, more=(stream(twice, head + b" /Filter [/FlateDecode /FlateDecode]"),)
        ),
        "hexadecimal": receipt_pdf(catalog=opened, more=(stream(hexed, head + b" /Filter /ASCIIHexDecode"),)),
        "a stream that is far from its name": receipt_pdf(
            catalog=opened, more=(stream(packed, head + b" " * 5000),)
        ),
        "in plain sight": receipt_pdf(catalog=b"/OpenAction " + script),
        "of the page": receipt_pdf(page=b"/AA << /O " + script + b" >>"),
    }


def quadratic(kilobytes: int) -> bytes:
    """What once kept the regular expressions of a web process busy for a minute."""
    return b"%PDF-1.4\n" + b"/ObjStm stream\n" * (kilobytes * 1024 // 15) + b"%%EOF"


def costly() -> dict[str, bytes]:
    """PDFs that cost their reader as much as they can."""
    black = zlib.compress(bytes(1 << 26), 9)
    image = b"/Type /XObject /Subtype /Image /Width 30000 /Height 30000 /ColorSpace /DeviceRGB /BitsPerComponent 8"
    drawn = stream(b"q 500 0 0 500 0 0 cm /I Do Q")
    form = b"/Type /XObject /Subtype /Form /BBox [0 0 595 842] /Resources << /XObject << /X %d 0 R >> >>"
    paths = b" ".join(b"%d %d l" % (x * 7919 % 595, x * 104729 % 842) for x in range(300_000))
    return {
        "a picture of 900 million pixels": receipt_pdf(
            content=drawn,
            page=b"/Resources << /XObject << /I 5 0 R >> >>",
            more=(stream(zlib.compress(black, 9), image + b" /Filter [/FlateDecode /FlateDecode]"),),
        ),
        "forms within forms": receipt_pdf(
            content=stream(b"/X Do " * 8), page=b"/Resources << /XObject << /X 5 0 R >> >>",
            more=(*(stream(b"/X Do " * 8, form % number) for number in range(6, 24)), stream(b"f", form % 5)),
        ),
        "a path that crosses itself for ever": receipt_pdf(content=stream(b"0 0 m " + paths * 3 + b" f*")),
        "a page of two million inches": receipt_pdf(box=b"0 0 144000000 144000000"),
        "a page as thin as a hair": receipt_pdf(box=b"0 0 0.001 8000"),
        "a hundred thousand pages": receipt_pdf(pages=100_000),
        "pages that contain themselves": pdf(
            b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 1000000 >>"
        ),
    }  # fmt: skip


PROTECTED = receipt_pdf().replace(
    b"/Root 1 0 R",
    b"/ID [<"
    + b"0" * 32
    + b"> <"
    + b"0" * 32
    + b">] /Encrypt << /Filter /Standard /V 2 /R 3 /Length 128 /P -4"
    b" /O <" + b"1" * 64 + b"> /U <" + b"2" * 64 + b"> >> /Root 1 0 R",
)
WITHOUT_PAGES = pdf(b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [] /Count 0 >>")
