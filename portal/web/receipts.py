"""Serving a receipt to somebody who may see it: never as a page of ours."""

from __future__ import annotations

from flask import Response

from portal.core.files import get_files
from portal.orders.receipts import ReceiptRecord

_ENDINGS = {"image/jpeg": "jpg", "application/pdf": "pdf"}
_POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'"


def receipt_response(receipt: ReceiptRecord) -> Response:
    """The file as an attachment under a name of ours. The caller has checked whose order it belongs to.

    Raises NotFound when the file is gone.
    """
    return attachment(receipt.file_key, receipt.content_type, f"receipt-{receipt.id}")


def attachment(file_key: str, content_type: str, name: str) -> Response:
    """A kept file to be saved, never shown as a page of ours; its ending follows the type. Raises NotFound."""
    response = Response(get_files().read(file_key), content_type=content_type)
    ending = _ENDINGS.get(content_type, "bin")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.{ending}"'
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
