"""Why a file was not taken."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from portal.core.errors import DomainError

# To people at work, who have the document on their computer. They are among all that pages refuse (refusals.py).
FILE: Mapping[str, LazyString] = {
    "empty": _l("The file is empty."),
    "encrypted_pdf": _l("This PDF is protected by a password. Attach a picture instead."),
    "file_too_large": _l("The file is too large."),
    "file_type": _l("Attach a photo or screenshot (JPEG, PNG, WebP) or a PDF."),
    "too_costly": _l("This file takes too much to read. Attach a picture instead."),
    "too_many_pixels": _l("The picture has too many pixels."),
    "unreadable": _l("The file could not be read."),
}
# To customers, who hold a phone: they are told what to send instead.
CUSTOMERS_FILE: Mapping[str, LazyString] = {
    "empty": _l("This file is empty. Choose another one."),
    "encrypted_pdf": _l("This PDF is protected by a password. Send a screenshot instead."),
    "file_too_large": _l("This file is too large. Send a screenshot instead."),
    "file_type": _l("Attach a photo or screenshot (JPEG, PNG, WebP) or a PDF."),
    "too_costly": _l("This file takes too much to read. Send a screenshot instead."),
    "too_many_pixels": _l("This picture is too large. Send a screenshot instead."),
    "unreadable": _l("This file could not be read. Take the picture again."),
}


def customers_file_words(refusal: DomainError) -> LazyString:
    code = refusal.errors[0].code if refusal.errors else refusal.code
    return CUSTOMERS_FILE.get(code, CUSTOMERS_FILE["unreadable"])
