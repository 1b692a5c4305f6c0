"""What a payout's proof must show before it counts, and whose it must be; what silence may complete on its strength."""

from __future__ import annotations

from portal.core.db import hot
from portal.core.errors import ValidationFailed
from portal.core.uploads.check import CleanFile
from portal.orders.record import OrderRecord
from portal.reference import configuration as config

# Who attached it tells the assignment, whatever the database's clock said: nobody gets a payout again that they lost
# (matching.payouts.may_take).
_OF_PRESENT_TRADER = """
c.order_id = %(id)s AND c.kind = 'payout_proof' AND c.actor_kind = 'trader' AND c.actor_id = %(trader)s
"""
_ANY = f"SELECT EXISTS (SELECT 1 FROM receipt c WHERE {_OF_PRESENT_TRADER}) AS found"  # noqa: S608
_GOOD = f"""
SELECT EXISTS (
  SELECT 1 FROM receipt c
   WHERE {_OF_PRESENT_TRADER} AND c.is_blank IS FALSE
     AND CASE WHEN c.content_type = 'application/pdf' THEN c.pages >= 1
              ELSE c.width >= %(pixels)s AND c.height >= %(pixels)s END
     AND NOT EXISTS (SELECT 1 FROM receipt d WHERE d.sha256 = c.sha256 AND d.order_id <> c.order_id)
     AND NOT EXISTS (SELECT 1 FROM receipt d WHERE d.seen_sha256 = c.seen_sha256 AND d.order_id <> c.order_id)
) AS found
"""  # noqa: S608 - built once from constants


def refuse_poor_proof(upload: CleanFile) -> None:
    """A picture with nothing on it, or too small to read, proves nothing. Raises ValidationFailed."""
    if upload.is_blank:
        raise ValidationFailed.of("proof", "proof_blank", "There is nothing to be seen on this file.")
    pixels = config.get(config.PAYOUT_PROOF_MIN_PIXELS)
    is_picture = upload.content_type.startswith("image/")
    if is_picture and min(upload.width or pixels, upload.height or pixels) < pixels:
        message = f"This picture is too small to be read: {pixels} pixels each way at least."
        raise ValidationFailed.of("proof", "proof_too_small", message)


def has_proof(order: OrderRecord) -> bool:
    """Whether the trader who has this locked payout now attached a proof that they paid it.

    What a trader before them attached proves nothing for them.
    """
    return bool(hot(_ANY, {"id": order.id, "trader": order.trader_id})[0]["found"])


def has_good_proof(order: OrderRecord) -> bool:
    """Whether a proof of the present trader shows something, is large enough, and is not seen in another order.

    The same pixels count as the same file, whatever hangs on to them. What was never measured does not count.
    """
    pixels = config.get(config.PAYOUT_PROOF_MIN_PIXELS)
    params = {"id": order.id, "trader": order.trader_id, "pixels": pixels}
    return bool(hot(_GOOD, params)[0]["found"])
