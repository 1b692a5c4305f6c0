"""Receipts: proofs of payment that people attach to an order. A receipt never moves money."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal.core.actors import Actor
from portal.core.db import after_commit, hot
from portal.core.errors import Conflict, NotFound
from portal.core.ids import new_id
from portal.core.live import nudge
from portal.core.uploads.check import CleanFile
from portal.core.uploads.keeping import KeptFile, kept
from portal.orders.evidence import refuse_poor_proof
from portal.orders.models import Direction, ReceiptKind, Status
from portal.orders.record import OrderRecord
from portal.orders.transitions import Note
from portal.reference import configuration as config

# Two difference hashes that differ in this many bits are the same picture for the eye (see near_looks).
LOOK_DISTANCE = 2

_OPEN_FOR = {
    ReceiptKind.PAYMENT: (
        Direction.PAYIN,
        {Status.AWAITING_PAYMENT, Status.AWAITING_CONFIRMATION, Status.DISPUTED, Status.EXPIRED},
    ),
    ReceiptKind.PAYOUT_PROOF: (
        Direction.PAYOUT,
        {Status.AWAITING_PAYOUT, Status.AWAITING_CONFIRMATION, Status.DISPUTED},
    ),
}


class ReceiptNotExpected(Conflict):
    code, title = "receipt_not_expected", "This order takes no receipts now"


class TooManyReceipts(Conflict):
    code, title = "too_many_receipts", "This order has as many receipts as it can take"


@dataclass(frozen=True, slots=True)
class ReceiptRecord:
    """One receipt. `sha256` is of the bytes as uploaded, `seen_sha256` of the pixels, `look` the difference hash of what
    is seen.

    `picture_key` names what is shown of a PDF. `width` and `height` of the picture in pixels, `pages` of the
    whole document, `is_blank` (there is nothing to be seen on it), `seen_sha256`: None when it was kept before they were measured.
    """

    id: uuid.UUID
    order_id: uuid.UUID
    kind: str
    file_key: str
    content_type: str
    size_bytes: int
    sha256: bytes
    seen_sha256: bytes | None
    look: int | None
    picture_key: str | None
    width: int | None
    height: int | None
    pages: int | None
    is_blank: bool | None
    actor_kind: str
    created_at: datetime

    @property
    def is_image(self) -> bool:
        return self.content_type.startswith("image/")

    @property
    def has_picture(self) -> bool:
        """Is there something to be looked at; else it can only be saved (a PDF of before they were painted)."""
        return self.is_image or self.picture_key is not None


@dataclass(frozen=True, slots=True)
class LookAlike:
    """Another order with the same file or just the same pixels (`is_same_file`), or a picture that looks the same: a hint, no verdict."""

    receipt_id: uuid.UUID
    order_id: uuid.UUID
    is_same_file: bool


_COLUMNS = (
    "c.id, c.order_id, c.kind, c.file_key, c.content_type, c.size_bytes, c.sha256, c.seen_sha256, c.look,"
    " c.picture_key, c.width, c.height, c.pages, c.is_blank, c.actor_kind, c.created_at"
)
_OF_ORDERS = f"SELECT {_COLUMNS} FROM receipt c WHERE c.order_id = ANY(%(ids)s::uuid[]) ORDER BY c.id"  # noqa: S608
_OF_ORDER = f"SELECT {_COLUMNS} FROM receipt c WHERE c.order_id = %(order_id)s AND c.id = %(id)s"  # noqa: S608
_INSERT = f"""
WITH bumped AS (
  UPDATE orders SET version = version + 1, updated_at = now() WHERE id = %(order_id)s RETURNING status
), noted AS (
  INSERT INTO order_event (order_id, event, from_status, to_status, actor_kind, actor_id)
  SELECT %(order_id)s, '{Note.RECEIPT_ADDED.value}', status, status, %(actor_kind)s, %(actor_id)s::uuid FROM bumped
)
INSERT INTO receipt AS c (id, order_id, kind, file_key, content_type, size_bytes, sha256, seen_sha256, look,
                     picture_key, width, height, pages, is_blank, actor_kind, actor_id)
VALUES (%(id)s, %(order_id)s, %(kind)s, %(file_key)s, %(content_type)s, %(size)s, %(sha256)s, %(seen)s, %(look)s,
        %(picture_key)s, %(width)s, %(height)s, %(pages)s, %(is_blank)s, %(actor_kind)s, %(actor_id)s)
RETURNING {_COLUMNS}
"""  # noqa: S608 - constants of this module


def add_receipt(order: OrderRecord, upload: CleanFile, kind: ReceiptKind, *, actor: Actor) -> ReceiptRecord:
    """Keep a checked file with a locked order; it changes no balance and no status.

    The same file again gives the receipt that is there. Raises ReceiptNotExpected before there is anything to
    prove and after the end, TooManyReceipts, StorageFull, ValidationFailed for a payout's proof that shows nothing. The order's version grows, in `order` as well.
    """
    direction, statuses = _OPEN_FOR[kind]
    if order.direction != direction or order.status not in statuses:
        raise ReceiptNotExpected()
    present = [receipt for receipt in list_receipts([order.id]) if receipt.kind == kind.value]
    for receipt in present:
        if upload.is_same_as(receipt.sha256, receipt.seen_sha256):
            return receipt
    if kind is ReceiptKind.PAYOUT_PROOF:
        refuse_poor_proof(upload)
    if len(present) >= config.get(config.RECEIPTS_MAX_PER_ORDER):
        raise TooManyReceipts(f"This order has {len(present)} receipts already.")
    with kept(upload) as files:
        receipt = _insert(order, upload, kind, files, actor)
    order.version += 1
    _nudge(order)
    return receipt


def _insert(
    order: OrderRecord, upload: CleanFile, kind: ReceiptKind, files: KeptFile, actor: Actor
) -> ReceiptRecord:
    values: dict[str, Any] = {
        "id": new_id(), "order_id": order.id, "kind": kind.value, "file_key": files.file_key,
        "content_type": upload.content_type, "size": len(upload.content), "sha256": upload.sha256,
        "seen": upload.seen_sha256, "look": upload.look, "picture_key": files.picture_key, "width": upload.width, "height": upload.height,
        "pages": upload.pages, "is_blank": upload.is_blank, "actor_kind": actor.kind.value, "actor_id": actor.id,
    }  # fmt: skip
    return _record(hot(_INSERT, values)[0])


def _nudge(order: OrderRecord) -> None:
    channels = [f"order:{order.id}"] + ([f"trader:{order.trader_id}"] if order.trader_id else [])
    after_commit(lambda: nudge(*channels))


def list_receipts(order_ids: Sequence[uuid.UUID]) -> list[ReceiptRecord]:
    """The receipts of these orders, oldest first, in one query. The caller has checked whose orders they are."""
    return [_record(row) for row in hot(_OF_ORDERS, {"ids": list(order_ids)})]


_IS_ATTACHED = """
SELECT EXISTS (SELECT 1 FROM receipt WHERE order_id = %(id)s AND kind = %(kind)s AND sha256 = %(sha256)s) AS found
"""


def is_attached(order_id: uuid.UUID, kind: ReceiptKind, raw: bytes) -> bool:
    """Whether these very bytes are a receipt of the order already: nobody needs to read them again."""
    values = {"id": order_id, "kind": kind.value, "sha256": hashlib.sha256(raw).digest()}
    return bool(hot(_IS_ATTACHED, values)[0]["found"])


def get_receipt(order_id: uuid.UUID, receipt_id: uuid.UUID) -> ReceiptRecord:
    """A receipt of an order that the caller has loaded as its owner. Raises NotFound."""
    rows = hot(_OF_ORDER, {"order_id": order_id, "id": receipt_id})
    if not rows:
        raise NotFound("There is no such receipt.")
    return _record(rows[0])


def _record(row: dict[str, Any]) -> ReceiptRecord:
    seen = row["seen_sha256"]
    plain = {"sha256": bytes(row["sha256"]), "seen_sha256": None if seen is None else bytes(seen)}
    return ReceiptRecord(**(row | plain))


# Each part is looked up in an index; the near hashes are spelled out (2,081 of them for two bits).
_LOOK_ALIKE = """
SELECT c.order_id, bool_or(c.is_same) AS is_same_file
  FROM (SELECT order_id, true AS is_same FROM receipt WHERE sha256 = %(sha256)s
         UNION ALL
        SELECT order_id, true FROM receipt WHERE seen_sha256 = %(seen)s
         UNION ALL
        SELECT order_id, false FROM receipt WHERE look = ANY(%(near)s::bigint[])) c
 WHERE c.order_id <> %(order_id)s
 GROUP BY c.order_id ORDER BY 2 DESC, 1 DESC LIMIT %(limit)s
"""


def list_look_alikes(receipt: ReceiptRecord, limit: int = 20) -> list[LookAlike]:
    """Other orders with this very file, the same pixels, or a picture within LOOK_DISTANCE bits of it, same files first."""
    rows = hot(
        _LOOK_ALIKE,
        {
            "order_id": receipt.order_id, "sha256": receipt.sha256, "seen": receipt.seen_sha256,
            "near": near_looks(receipt.look), "limit": limit,
        },
    )  # fmt: skip
    return [LookAlike(receipt.id, row["order_id"], row["is_same_file"]) for row in rows]


def near_looks(look: int | None) -> list[int]:
    """Every signed 64-bit hash within LOOK_DISTANCE bits of this one, itself included; none for None."""
    if look is None:
        return []
    masks = [1 << bit for bit in range(64)]
    near = {0} | set(masks) | {one | two for one in masks for two in masks}
    value = look & (1 << 64) - 1
    return [_signed(value ^ mask) for mask in near]


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value
