"""The receiver says that another amount came: the customer says whether that is what they sent."""

from __future__ import annotations

from collections.abc import Callable

from flask import request
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from portal.core.actors import CUSTOMER
from portal.core.errors import InvalidTransition
from portal.core.permissions import public
from portal.core.uploads.check import CleanFile
from portal.disputes.models import DisputeReason
from portal.disputes.service import open_dispute
from portal.ledger.errors import InsufficientFunds
from portal.orders.models import ReceiptKind, Status
from portal.orders.payment_session import get_payment_session
from portal.orders.receipts import add_receipt
from portal.orders.record import OrderRecord
from portal.orders.service import agree_to_amount
from portal.orders.service.amounts import AmountCorrected, check_agreed
from portal.web.pay import bp
from portal.web.pay.forms import DisagreementForm
from portal.web.pay.guard import OWN_FORM
from portal.web.pay.rendering import back_to_page, render_now
from portal.web.pay.steps import checked_form, with_locked_order

_CORRECTED = _l("The receiver has corrected the amount meanwhile. Look at it again: nothing was changed.")
# For support, in the words of the case, which are not the page's.
_NOTHING_SENT = "The customer says that they sent nothing."
_MOVED_ON = _l("The payment has moved on meanwhile. This is where it stands.")


@bp.post("/<token>/agreement")
@public(OWN_FORM)
def agree(token: str) -> Response:
    """Completes the order with the amount that the form names, if the receiver still reports just that."""
    seen = _seen()
    try:
        with_locked_order(token, lambda order: agree_to_amount(order, seen, actor=CUSTOMER))
    except AmountCorrected:
        return render_now(token, status=409, notice=_CORRECTED)
    except InvalidTransition:
        return render_now(token, status=409, notice=_MOVED_ON)
    except InsufficientFunds:
        # More came than the trader's deposit covers: an administrator decides what is to be done about it.
        with_locked_order(token, lambda order: _to_the_desk(order, seen, "the deposit does not cover it"))
    return back_to_page(token)


@bp.post("/<token>/disagreement")
@public(OWN_FORM)
def disagree(token: str) -> Response:
    """Another amount, with what helps to find it, or nothing at all: that takes one press and no words."""
    if request.form.get("sent") == "nothing":
        return _answered(token, _deny)
    form = DisagreementForm(request.form)
    upload = checked_form(token, form, get_payment_session(token))
    if form.errors:
        return render_now(token, status=422, form=form)
    seen = _seen()
    return _answered(token, lambda order: _disagree(order, seen, form, upload), form)


def _answered(
    token: str, work: Callable[[OrderRecord], None], form: DisagreementForm | None = None
) -> Response:
    try:
        with_locked_order(token, work)
    except AmountCorrected:
        return render_now(token, status=409, form=form, notice=_CORRECTED)
    except InvalidTransition:
        return render_now(token, status=409, notice=_MOVED_ON)
    return back_to_page(token)


def _seen() -> int:
    """The amount that the form showed, in minor units; what no form of ours says is no amount at all."""
    text = request.form.get("amount_minor", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 17 else 0


def _disagree(order: OrderRecord, seen: int, form: DisagreementForm, upload: CleanFile | None) -> None:
    if order.status == Status.DISPUTED:
        return
    check_agreed(order, seen)
    if upload is not None:
        add_receipt(order, upload, ReceiptKind.PAYMENT, actor=CUSTOMER)
    _to_the_desk(order, seen, form.words.data)


def _deny(order: OrderRecord) -> None:
    """Whatever amount is reported by now: of money that was never sent each is wrong."""
    if order.status == Status.DISPUTED:
        return
    check_agreed(order, order.amount_reported_minor or 0)
    open_dispute(order, DisputeReason.OTHER, _NOTHING_SENT, None, actor=CUSTOMER)


def _to_the_desk(order: OrderRecord, seen: int, words: str | None) -> None:
    if order.status != Status.DISPUTED:
        open_dispute(order, DisputeReason.PAID_ANOTHER_AMOUNT, words, seen, actor=CUSTOMER)
