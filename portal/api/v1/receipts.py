"""`/orders/{id}/receipts`: the customer's proof of payment, attached by the store."""

from __future__ import annotations

import hashlib

import orjson
from flask import Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from portal.api.authentication import current_caller
from portal.api.idempotency import call_of, read_key, run_once
from portal.api.operations import operation
from portal.api.v1 import api_v1
from portal.api.v1.orders import order_of
from portal.api.v1.orders_answers import ReceiptOut
from portal.core.db import release
from portal.core.errors import PayloadTooLarge, UnsupportedMedia, ValidationFailed
from portal.core.idempotency import StoredAnswer
from portal.core.ids import public_id
from portal.core.uploads.check import check_upload
from portal.identity.models import Scope
from portal.orders.models import ReceiptKind
from portal.orders.receipts import add_receipt
from portal.orders.representation import moment
from portal.reference.upload_sizes import receipt_max_bytes

_SCHEMA = {
    "type": "object",
    "properties": {
        "file": {
            "type": "string",
            "contentMediaType": "application/octet-stream",
            "description": "A JPEG, PNG or WebP image, or a PDF, up to 10 MB.",
        }
    },
    "required": ["file"],
    "additionalProperties": False,
}


@api_v1.post("/orders/<order_id>/receipts", provide_automatic_options=False)
@operation(
    id="attach_receipt",
    summary="Attach a receipt to a payin",
    tag="Orders",
    scope=Scope.ORDERS_WRITE,
    description="Multipart, one file, up to five for an order. The same file again gives the same receipt.",
    multipart=_SCHEMA,
    idempotency="optional",
    status=201,
    answer=ReceiptOut,
    problems=(400, 404, 409, 413, 415, 422, 503),
)
def attach(order_id: str) -> Response:
    caller = current_caller()
    key = read_key(required=False)
    order_of(caller, order_id)  # a stranger's upload is not even looked at
    raw = _uploaded()
    release()
    clean = check_upload(raw, receipt_max_bytes(), uploader=f"store:{caller.store.id}")
    call = None if key is None else call_of(caller, key, {"file": hashlib.sha256(raw).hexdigest()})

    def work() -> StoredAnswer:
        order = order_of(caller, order_id, lock=True)
        receipt = add_receipt(order, clean, ReceiptKind.PAYMENT, actor=caller.actor)
        shown = {
            "id": public_id("rcp", receipt.id),
            "object": "receipt",
            "order_id": order_id,
            "content_type": receipt.content_type,
            "size_bytes": receipt.size_bytes,
            "created_at": moment(receipt.created_at),
        }
        return StoredAnswer(201, orjson.dumps(shown).decode())

    return run_once(call, work)


def _uploaded() -> bytes:
    """The bytes of the one file. Raises UnsupportedMedia, PayloadTooLarge, ValidationFailed."""
    if request.mimetype != "multipart/form-data":
        raise UnsupportedMedia("Send the receipt as multipart/form-data.")
    largest = receipt_max_bytes()
    request.max_content_length = largest + 64 * 1024
    try:
        files = request.files
        extra = [*request.form, *(name for name in files if name != "file")]
    except RequestEntityTooLarge:
        message = f"The file is larger than {largest // (1024 * 1024)} MB."
        raise PayloadTooLarge(message, code="file_too_large") from None
    if extra:
        raise ValidationFailed.of(extra[0][:64], "unknown_field", "There is no such field.")
    uploads = files.getlist("file")
    if len(uploads) != 1:
        raise ValidationFailed.of("file", "required", "Attach one file.")
    raw: bytes = uploads[0].read()
    return raw
