"""The payment session behind `/pay/<token>`: what its page shows, in one statement."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal.core.crypto import decrypt, is_derived_token, token_hash
from portal.core.db import hot, read_rows, transaction
from portal.core.errors import NotFound
from portal.orders.models import BEING_PAID, sql_list
from portal.orders.reasons import HouseReason
from portal.orders.record import COLUMNS, OrderRecord, record_of
from portal.orders.transitions import Note

_TOKEN = re.compile(r"[a-z2-7]{26}", re.ASCII)


@dataclass(frozen=True, slots=True)
class AttachedReceipt:
    """What the customer sees of a receipt of theirs."""

    id: uuid.UUID
    is_image: bool
    has_picture: bool


@dataclass(frozen=True, slots=True)
class PaymentSession:
    """A payin as its customer may see it at `now` (the database's clock, UTC).

    `number` is the full number of the requisite, only while it is to be paid to. Never log it.
    `is_disclosed`: it has been shown since the requisite was given.
    """

    order: OrderRecord
    now: datetime
    number: str | None
    is_disclosed: bool
    receipts: tuple[AttachedReceipt, ...]


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """What an open page asks every few seconds; `seconds_left` until the deadline, None without one."""

    version: int
    status: str
    seconds_left: int | None


_SESSION = f"""
SELECT {COLUMNS}, now() AS now, r.number_encrypted,
       EXISTS (SELECT 1 FROM order_event e WHERE e.order_id = o.id AND e.event = '{Note.REQUISITE_SHOWN.value}'
                  AND e.at >= o.assigned_at) AS is_disclosed,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(c.id, c.content_type, c.picture_key IS NOT NULL) ORDER BY c.id), '[]')
          FROM receipt c WHERE c.order_id = o.id AND c.kind = 'payment') AS receipts
  FROM orders o
  LEFT JOIN requisite r ON r.id = o.requisite_id AND o.status IN {sql_list(BEING_PAID)}
 WHERE o.token_hash = %(hash)s AND o.direction = 'payin'
"""  # noqa: S608 - built once from constants
_STATUS = """
SELECT id, version, status, CASE WHEN due_at IS NOT NULL
         THEN ceil(greatest(extract(epoch FROM due_at - now()), 0))::int END AS seconds_left
  FROM orders WHERE token_hash = %(hash)s AND direction = 'payin'
"""
_LOCK = f"""
SELECT {COLUMNS} FROM orders o WHERE o.token_hash = %(hash)s AND o.direction = 'payin'
   FOR NO KEY UPDATE OF o
"""  # noqa: S608
_DISCLOSED = f"""
INSERT INTO order_event (order_id, event, from_status, to_status, actor_kind, reason)
SELECT o.id, '{Note.REQUISITE_SHOWN.value}', o.status, o.status, 'customer', '{HouseReason.PAYMENT_PAGE.value}' FROM orders o
 WHERE o.id = %(id)s AND NOT EXISTS (SELECT 1 FROM order_event e WHERE e.order_id = o.id
   AND e.event = '{Note.REQUISITE_SHOWN.value}' AND e.at >= o.assigned_at)
"""  # noqa: S608 - constants of this house


def _one(sql: str, token: str) -> dict[str, Any]:
    rows = read_rows(sql, {"hash": token_hash(token)}) if _TOKEN.fullmatch(token) else []
    # A hash that somebody wrote into the row of another order is no link to it.
    if not rows or not is_derived_token(token, "payment", rows[0]["id"]):
        raise NotFound("There is no such payment.")
    return rows[0]


def get_payment_session(token: str) -> PaymentSession:
    """The session of a payin's token. Raises NotFound, without a query for what cannot be a token."""
    row = _one(_SESSION, token)
    order = record_of(row)
    number = None
    if order.requisite_id is not None and row["number_encrypted"] is not None:
        number = decrypt("requisite", "number", order.requisite_id, row["number_encrypted"])
    receipts = tuple(_attached(*receipt) for receipt in row["receipts"])
    return PaymentSession(order, row["now"], number, row["is_disclosed"], receipts)


def _attached(key: str, content_type: str, is_painted: bool) -> AttachedReceipt:
    is_image = content_type.startswith("image/")
    return AttachedReceipt(uuid.UUID(key), is_image, is_image or is_painted)


def get_session_status(token: str) -> SessionStatus:
    """Version and status only. Raises NotFound."""
    row = _one(_STATUS, token)
    return SessionStatus(row["version"], row["status"], row["seconds_left"])


def lock_payment_order(token: str) -> OrderRecord:
    """The payin with its row lock, inside transaction(). Raises NotFound."""
    return record_of(_one(_LOCK, token))


def note_disclosure(order_id: uuid.UUID) -> None:
    """Write once per assignment that the full number was shown to whoever holds the payment link."""
    with transaction():
        hot(_DISCLOSED, {"id": order_id})
