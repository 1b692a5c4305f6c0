"""Reads one untrusted picture, and judges what there is to be seen on one."""

from __future__ import annotations

import hashlib
import io

from PIL import Image, ImageOps
from PIL.Image import Image as Picture

MAX_PIXELS = 25_000_000
MAX_SIDE = 8_000
FORMATS = ("JPEG", "PNG", "WEBP")
QUALITY = 88
# What Pillow imports by itself when a file asks for it, at a time when nothing can be opened any more.
_LATER = (
    "JpegImagePlugin",
    "PngImagePlugin",
    "WebPImagePlugin",
    "MpoImagePlugin",
    "TiffImagePlugin",
    "ExifTags",
)


def prepare() -> None:
    """Import all that reading takes."""
    for name in _LATER:
        __import__(f"PIL.{name}")
    Image.MAX_IMAGE_PIXELS = None  # our own limit stands below, and refuses where Pillow's only warns


def read_picture(raw: bytes) -> tuple[bytes, dict[str, object]]:
    """The picture as a new JPEG without metadata, and what is to be known of it.

    Raises ValueError with `too_many_pixels` or `unreadable`. The size is judged before any pixel is decoded.
    """
    try:
        image: Picture = Image.open(io.BytesIO(raw), formats=FORMATS)
        if image.width * image.height > MAX_PIXELS or max(image.size) > MAX_SIDE:
            raise ValueError("too_many_pixels")
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        image = _on_white(image)
    except (ValueError, MemoryError):
        raise
    except Exception as error:
        raise ValueError("unreadable") from error
    return written(image), {
        "look": difference_hash(image), "seen": seen_digest([image]), "is_blank": is_blank(image), "pages": 1,
        "width": image.width, "height": image.height,
    }  # fmt: skip


def written(image: Picture) -> bytes:
    """As a JPEG without metadata."""
    output = io.BytesIO()
    image.save(output, "JPEG", quality=QUALITY, optimize=True)
    return output.getvalue()


def _on_white(image: Picture) -> Picture:
    """Three channels, with white where the picture is transparent; as few copies as can be."""
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    layer = image if image.mode == "RGBA" else image.convert("RGBA")
    white = Image.new("RGB", layer.size, "white")
    white.paste(layer, mask=layer.getchannel("A"))
    return white


def difference_hash(image: Picture) -> int | None:
    """64 bits that look-alikes share (each: is a cell brighter than its right neighbour), signed.

    None for a picture without detail: all of those would look alike.
    """
    small = image.convert("L").resize((9, 8))
    cells = list(small.tobytes())
    bits = 0
    for row in range(8):
        for column in range(8):
            place = row * 9 + column
            bits = bits << 1 | (cells[place] > cells[place + 1] + 2)
    if bits.bit_count() < 4:
        return None
    return bits - (1 << 64) if bits >> 63 else bits


def seen_digest(pictures: list[Picture]) -> str:
    """SHA-256 of the sizes and pixels of what people see: what else stands in the file changes nothing."""
    digest = hashlib.sha256()
    for picture in pictures:
        digest.update(b"%d %d %b " % (picture.width, picture.height, picture.mode.encode()))
        digest.update(picture.tobytes())
    return digest.hexdigest()


def is_blank(image: Picture) -> bool:
    """Is there nothing to be seen: all but a thousandth of it has one tone, give or take what JPEG adds."""
    small = image.convert("L")
    small.thumbnail((400, 400))
    tones = small.histogram()
    most = max(sum(tones[max(0, tone - 12) : tone + 13]) for tone in range(256))
    return most >= 0.999 * small.width * small.height
