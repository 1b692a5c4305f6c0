"""The trader's part of a payout in test mode: accept it, pay it, attach a proof, say so."""

from __future__ import annotations

import hashlib
import io

from PIL import Image, ImageDraw

from portal.core.actors import Actor, ActorKind
from portal.core.errors import Conflict
from portal.core.uploads.check import CleanFile
from portal.matching.availability import Corner, list_payout_takers
from portal.merchants.queries import get_store
from portal.orders.models import ReceiptKind, Status
from portal.orders.receipts import add_receipt
from portal.orders.record import OrderRecord
from portal.orders.service.assign import NothingFree, accept_payout
from portal.orders.service.claim import claim_payout


def pay_payout(order: OrderRecord) -> OrderRecord:
    """Some test trader accepts a locked payout (unless one has), attaches a drawn proof and claims.

    Raises NothingFree when no test trader could be offered it, InvalidTransition in other statuses.
    """
    accepted = _accepted(order) if order.status == Status.MATCHING else order
    trader = Actor(ActorKind.TRADER, accepted.trader_id)
    if accepted.status == Status.AWAITING_PAYOUT:
        add_receipt(accepted, _proof(accepted), ReceiptKind.PAYOUT_PROOF, actor=trader)
    return claim_payout(accepted, actor=trader)


def _accepted(order: OrderRecord) -> OrderRecord:
    traffic = get_store(order.store_id).traffic_for(order.mode)
    corner = Corner(
        order.mode, order.method or "", order.currency, order.bank, traffic.pinned, traffic.excluded
    )
    for trader_id in list_payout_takers(corner, order.amount_minor, order_id=order.id):
        try:
            return accept_payout(trader_id, order.id, actor=Actor(ActorKind.TRADER, trader_id))
        except Conflict:
            continue
    raise NothingFree("No test trader who works payouts can take this amount now.")


def _proof(order: OrderRecord) -> CleanFile:
    picture = Image.new("RGB", (480, 320), "white")
    ImageDraw.Draw(picture).text((16, 48), f"Test payout {order.id}", fill="black")
    drawn = io.BytesIO()
    picture.save(drawn, "JPEG")
    content = drawn.getvalue()
    return CleanFile(
        content, "image/jpeg", hashlib.sha256(content).digest(), width=picture.width, height=picture.height, pages=1,
        is_blank=False,
    )  # fmt: skip
