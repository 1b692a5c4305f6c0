"""From an upload to a file that can be kept: size, kind by magic bytes, read by a process that can do nothing else.

No file is parsed in this process. A picture is kept as a new JPEG; a PDF is kept as it came, to be saved by who wants
it, with a picture of its first pages for everybody who looks.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

import filetype

from portal.core.errors import DomainError, PayloadTooLarge, UnsupportedMedia, ValidationFailed
from portal.core.observability.metrics import uploads
from portal.core.uploads.sandbox import Facts, Killed, Kind, read_file
from portal.core.uploads.turns import UploadsBusy, turn_of

_JPEG, _PDF = "image/jpeg", "application/pdf"
_KINDS = {_JPEG: Kind.IMAGE, "image/png": Kind.IMAGE, "image/webp": Kind.IMAGE, _PDF: Kind.PDF}
_MAGIC_BYTES = 8192

_SENTENCES = {
    "too_many_pixels": "The picture has too many pixels. Send a screenshot instead.",
    "encrypted_pdf": "This PDF is protected by a password. Send a screenshot instead.",
}
_DAMAGED = {
    Kind.IMAGE: "The picture could not be read. Take it again.",
    Kind.PDF: "The PDF could not be read. Send a screenshot instead.",
}


@dataclass(frozen=True, slots=True)
class CleanFile:
    """A checked upload. `sha256` is of the bytes as they came, `seen_sha256` of the pixels that people see (of a PDF
    those of its first pages), `look` the difference hash of what is seen.

    `picture` is the JPEG that is shown of a PDF; None where `content` is the picture. `width` and `height` in pixels
    of the (first page's) picture, `pages` of the whole document; `is_blank`: there is nothing to be seen.
    """

    content: bytes
    content_type: str
    sha256: bytes
    seen_sha256: bytes | None = None
    look: int | None = None
    picture: bytes | None = None
    width: int | None = None
    height: int | None = None
    pages: int | None = None
    is_blank: bool | None = None

    def is_same_as(self, sha256: bytes, seen_sha256: bytes | None) -> bool:
        """Whether a file that is kept is this one: the same bytes, or one page that shows the same.

        Of more pages not all may have been looked at: those are the same by their bytes alone.
        """
        return sha256 == self.sha256 or (
            self.pages == 1 and seen_sha256 is not None and seen_sha256 == self.seen_sha256
        )


def check_upload(raw: bytes, max_bytes: int, *, uploader: str) -> CleanFile:
    """The file as it may be kept. `uploader` is whose turn it takes: a network, a store, a person.

    Raises PayloadTooLarge (413), UnsupportedMedia (415) for anything but JPEG, PNG, WebP and PDF, whatever
    it is called, ValidationFailed (422) for what is empty, damaged, protected or too costly to read, UploadsBusy
    (503) when too many are being read, UploadsPaused (503) when files of this uploader had to be killed. May take seconds: call it outside a
    transaction, and release() before it.
    """
    if not raw:
        raise _refused("empty", "The file is empty.")
    if len(raw) > max_bytes:
        raise PayloadTooLarge(
            f"The file is larger than {max_bytes // (1024 * 1024)} MB.", code="file_too_large"
        )
    kind = _KINDS.get(filetype.guess_mime(raw[:_MAGIC_BYTES]) or "")
    if kind is None:
        raise UnsupportedMedia("Attach a photo or screenshot (JPEG, PNG, WebP) or a PDF.", code="file_type")
    facts = _read(kind, raw, uploader)
    is_picture = kind is Kind.IMAGE
    return CleanFile(
        facts.picture if is_picture else raw, _JPEG if is_picture else _PDF, hashlib.sha256(raw).digest(),
        facts.seen_sha256, facts.look, None if is_picture else facts.picture, facts.width, facts.height, facts.pages, facts.is_blank,
    )  # fmt: skip


def _read(kind: Kind, raw: bytes, uploader: str) -> Facts:
    """In its turn, in the sandbox, counted and timed."""
    started, result = time.monotonic(), "failed"
    try:
        with turn_of(uploader):
            answer = read_file(kind, raw)
        result = "ok" if isinstance(answer, Facts) else "refused"
    except UploadsBusy:
        result = "busy"
        raise
    except Killed as killed:
        result = f"killed_{killed.reason}"
        raise _refused("too_costly", "This file takes too much to read. Send a screenshot instead.") from None
    finally:
        uploads.labels(kind.value, result).observe(time.monotonic() - started)
    if isinstance(answer, Facts):
        return answer
    raise _refused(answer if answer in _SENTENCES else "unreadable", _SENTENCES.get(answer, _DAMAGED[kind]))


def _refused(code: str, message: str) -> DomainError:
    return ValidationFailed.of("receipt", code, message)
