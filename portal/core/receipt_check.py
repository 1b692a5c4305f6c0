"""From an upload to a file that can be kept: size, kind by magic bytes, decoded in a limited process.

What comes out is never what came in, except for PDFs: those are kept as they are, only ever served as
attachments, and refused when they are encrypted or carry anything that acts by itself.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path

import filetype

from portal.core.errors import PayloadTooLarge, Unavailable, UnsupportedMedia, ValidationFailed

MAX_BYTES = 10 * 1024 * 1024
WALL_CLOCK_S = 10
_IMAGES = frozenset({"image/jpeg", "image/png", "image/webp"})
_PDF = "application/pdf"
_DECODER = Path(__file__).with_name("image_decoder.py")
# Decoding takes a core and up to 512 MiB: two at once, the others wait their turn for a while.
_turns = threading.BoundedSemaphore(2)
_TURN_TIMEOUT_S = 15

# Long enough not to turn up by chance in compressed bytes: looked for everywhere.
_ACTIVE = re.compile(
    rb"/(?:Encrypt|JavaScript|Launch|EmbeddedFiles?|OpenAction|RichMedia|SubmitForm|ImportData)(?![A-Za-z0-9])"
)
# Three bytes do turn up by chance: looked for outside the streams only.
_ACTIVE_SHORT = re.compile(rb"/(?:JS|AA|XFA)(?![A-Za-z0-9])")
_NAME_ESCAPE = re.compile(rb"#([0-9A-Fa-f]{2})")
_STREAM = re.compile(rb"stream\r?\n(.*?)endstream", re.DOTALL)
_OBJECT_STREAM = re.compile(rb"/ObjStm.{0,300}?stream\r?\n(.*?)endstream", re.DOTALL)
_INFLATED_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class CleanFile:
    """A checked upload. `sha256` is of the bytes as they came; `look` is an image's difference hash.

    `width` and `height` in pixels; `is_blank`: there is nothing to be seen. None where it was not looked at.
    """

    content: bytes
    content_type: str
    sha256: bytes
    look: int | None = None
    picture: bytes | None = None
    width: int | None = None
    height: int | None = None
    pages: int | None = None
    is_blank: bool | None = None


def check_receipt(raw: bytes, max_bytes: int = MAX_BYTES) -> CleanFile:
    """The file as it may be kept.

    Raises PayloadTooLarge (413), UnsupportedMedia (415) for anything but JPEG, PNG, WebP and PDF, whatever
    it is called, ValidationFailed (422) for an empty, damaged or unsafe file, Unavailable (503) when too many
    are being checked. Call it outside a transaction: it may take seconds.
    """
    if not raw:
        raise _unreadable("empty", "The file is empty.")
    if len(raw) > max_bytes:
        raise PayloadTooLarge(
            f"The file is larger than {max_bytes // (1024 * 1024)} MB.", code="file_too_large"
        )
    kind = filetype.guess_mime(raw[:8192])
    digest = hashlib.sha256(raw).digest()
    if kind in _IMAGES:
        return _decode(raw, digest)
    if kind == _PDF:
        _check_pdf(raw)
        return CleanFile(raw, _PDF, digest)
    raise UnsupportedMedia("Attach a photo or screenshot (JPEG, PNG, WebP) or a PDF.", code="file_type")


def _unreadable(code: str, message: str) -> ValidationFailed:
    return ValidationFailed.of("receipt", code, message)


def _decode(raw: bytes, digest: bytes) -> CleanFile:
    """Decode and encode anew in a process that may use 5 s of processor time and 512 MiB."""
    if not _turns.acquire(timeout=_TURN_TIMEOUT_S):
        raise Unavailable("Too many files are being checked. Try again in a moment.")
    try:
        done = subprocess.run(  # noqa: S603 - our own script, no shell, no file name
            [sys.executable, "-I", str(_DECODER)],
            input=raw, capture_output=True, timeout=WALL_CLOCK_S, check=False, env={}, close_fds=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise _unreadable("unreadable", "The picture could not be read in time.") from None
    finally:
        _turns.release()
    head, _, content = done.stdout.partition(b"\n")
    if done.returncode != 0 or not head:
        raise _unreadable("unreadable", "The picture could not be read.")
    answer = json.loads(head)
    if answer.get("refused") == "too_many_pixels":
        raise _unreadable("too_many_pixels", "The picture has too many pixels. Send a screenshot instead.")
    if "refused" in answer or not content:
        raise _unreadable("unreadable", "The picture is damaged. Take it again.")
    return CleanFile(
        content, "image/jpeg", digest, answer["look"], width=answer["width"], height=answer["height"], pages=1,
        is_blank=answer["is_blank"],
    )  # fmt: skip


def _check_pdf(raw: bytes) -> None:
    """Refuse what acts by itself or hides what it does. Defence in depth: a PDF is never shown inline."""
    if b"%%EOF" not in raw[-2048:]:
        raise _unreadable("unreadable", "The PDF is damaged or incomplete.")
    plain = _unescaped(raw)
    outside = _unescaped(_STREAM.sub(b"", raw))
    hidden = _object_streams(raw)
    if any(_ACTIVE.search(text) or _ACTIVE_SHORT.search(text) for text in (outside, hidden)) or (
        _ACTIVE.search(plain)
    ):
        raise _unreadable(
            "unsafe_pdf", "This PDF is protected or has active content. Send a screenshot instead."
        )


def _unescaped(text: bytes) -> bytes:
    """Names may be written with #xx in place of any character."""
    return _NAME_ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), text)


def _object_streams(raw: bytes) -> bytes:
    """The objects that compressed object streams hold, up to a bound."""
    found, left = [], _INFLATED_BYTES
    for match in _OBJECT_STREAM.finditer(raw):
        try:
            text = zlib.decompressobj().decompress(match[1], left)
        except zlib.error:
            continue
        found.append(_unescaped(text))
        left -= len(text)
        if left <= 0:
            raise _unreadable("unsafe_pdf", "This PDF can't be accepted. Send a screenshot instead.")
    return b"\n".join(found)
