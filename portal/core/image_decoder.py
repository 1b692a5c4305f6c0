"""Decodes one untrusted picture. Runs as a process of its own that has little memory and little time.

Started by `portal.core.receipt_check` as a script, isolated from the environment and from the rest of
Nostro: bytes come in on stdin, a line of JSON and the new bytes go out on stdout.
"""

from __future__ import annotations

import io
import json
import resource
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image as Picture  # at run time Pillow is only imported inside the limits

CPU_S = 5
MEMORY_BYTES = 512 * 1024 * 1024
MAX_PIXELS = 25_000_000
MAX_SIDE = 8_000
FORMATS = ("JPEG", "PNG", "WEBP")
QUALITY = 88


def limit_resources() -> None:
    """No more memory, processor time, processes, or files written than decoding one picture takes."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def decode(raw: bytes) -> tuple[bytes, dict[str, object]]:
    """The picture as a new JPEG without metadata, and what is to be known of it.

    Raises ValueError with `too_many_pixels` or `unreadable`. The size is judged before any pixel is decoded.
    """
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = None  # our own limit stands below, and refuses where Pillow's only warns
    try:
        image: Picture = Image.open(io.BytesIO(raw), formats=FORMATS)
        if image.width * image.height > MAX_PIXELS or max(image.size) > MAX_SIDE:
            raise ValueError("too_many_pixels")
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        image = _on_white(image)
    except ValueError:
        raise
    except Exception as error:
        raise ValueError("unreadable") from error
    output = io.BytesIO()
    image.save(output, "JPEG", quality=QUALITY, optimize=True)
    facts: dict[str, object] = {"look": difference_hash(image), "is_blank": is_blank(image)}
    return output.getvalue(), facts | {"width": image.width, "height": image.height}


def _on_white(image: Picture) -> Picture:
    """Three channels, with white where the picture is transparent; as few copies as can be."""
    from PIL import Image

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


def is_blank(image: Picture) -> bool:
    """Is there nothing to be seen: all but a thousandth of it has one tone, give or take what JPEG adds."""
    small = image.convert("L")
    small.thumbnail((400, 400))
    tones = small.histogram()
    most = max(sum(tones[max(0, tone - 12) : tone + 13]) for tone in range(256))
    return most >= 0.999 * small.width * small.height


def main() -> int:
    """Answer on stdout: `{"look": ...}` and the bytes, or `{"refused": code}`."""
    limit_resources()
    raw = sys.stdin.buffer.read()
    try:
        content, facts = decode(raw)
    except ValueError as error:
        code = str(error) if str(error) in {"too_many_pixels", "unreadable"} else "unreadable"
        sys.stdout.write(json.dumps({"refused": code}) + "\n")
        return 0
    sys.stdout.buffer.write(json.dumps(facts).encode() + b"\n" + content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
