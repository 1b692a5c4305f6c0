"""What a customer does on the way that goes well: choose, claim, attach, cancel. One verb each."""

from __future__ import annotations

from collections.abc import Callable

from flask import request
from flask_babel import force_locale
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from portal.core.actors import CUSTOMER
from portal.core.db import release, run_in_transaction
from portal.core.errors import DomainError, InvalidTransition, ValidationFailed
from portal.core.permissions import public
from portal.core.uploads.check import CleanFile, check_upload
from portal.core.uploads.turns import UploadsBusy, uploader_at
from portal.merchants.queries import get_store
from portal.orders.exposure.limits import AmountAboveLimit, LimitReached
from portal.orders.models import ReceiptKind, Status
from portal.orders.payment_session import (
    PaymentSession,
    get_payment_session,
    lock_payment_order,
)
from portal.orders.receipts import add_receipt, is_attached
from portal.orders.record import OrderRecord
from portal.orders.service import cancel_order, choose_method, claim_payin
from portal.orders.service.claim import PayerDetails, ProofMissing
from portal.reference.amounts import AmountOutOfBounds
from portal.reference.upload_sizes import receipt_max_bytes
from portal.web.labels.refusals import WORDS
from portal.web.labels.refused_files import customers_file_words
from portal.web.pay import bp
from portal.web.pay.forms import ClaimForm, uploaded
from portal.web.pay.guard import OWN_FORM
from portal.web.pay.languages import pick_language
from portal.web.pay.rendering import back_to_page, render_now

_RECEIPT_MISSING = _l("The shop asks for a receipt. Attach it first.")
# The customer has said that they paid, or it has gone further: a claim again says nothing new.
CLAIMED = {Status.AWAITING_CONFIRMATION, Status.DISPUTED, Status.COMPLETED}


def with_locked_order(token: str, work: Callable[[OrderRecord], object]) -> None:
    """Run a verb on the session's order in one transaction, with its row locked."""
    run_in_transaction(lambda: work(lock_payment_order(token)))


@bp.post("/<token>/method")
@public(OWN_FORM)
def choose(token: str) -> Response:
    method, bank = request.form.get("method", "")[:64], request.form.get("bank", "")[:64] or None

    def work(order: OrderRecord) -> None:
        if order.method is None and order.status == Status.MATCHING:
            choose_method(order, method, bank, actor=CUSTOMER)

    try:
        with_locked_order(token, work)
    except AmountOutOfBounds:
        return render_now(
            token, status=422, notice=_l("This way to pay does not take this amount. Choose another one.")
        )
    except (LimitReached, AmountAboveLimit) as refusal:
        page = render_now(token, status=refusal.status, notice=WORDS[refusal.code])
        if refusal.retry_after_s is not None:
            page.headers["Retry-After"] = str(refusal.retry_after_s)
        return page
    except ValidationFailed:
        return render_now(token, status=422, notice=_l("Choose one of the ways to pay shown here."))
    return back_to_page(token)


@bp.post("/<token>/claim")
@public(OWN_FORM)
def claim(token: str) -> Response:
    form = ClaimForm(request.form)
    upload = checked_form(token, form, get_payment_session(token))
    if form.errors:
        return render_now(token, status=422, form=form)
    payer = PayerDetails(form.name.data, form.last4.data, form.bank.data, form.reference.data)
    try:
        with_locked_order(token, lambda order: claim_order(order, payer, upload))
    except ProofMissing:
        return receipt_missing(token, form)
    return back_to_page(token)


def claim_order(order: OrderRecord, payer: PayerDetails, upload: CleanFile | None) -> None:
    """Receipt and claim in one transaction; a claim that was made before changes nothing."""
    if order.status in CLAIMED:
        return
    if upload is not None:
        add_receipt(order, upload, ReceiptKind.PAYMENT, actor=CUSTOMER)
    required = get_store(order.store_id).receipt_required
    claim_payin(order, payer, receipt_required=required, actor=CUSTOMER)


def receipt_missing(token: str, form: ClaimForm, template: str | None = None, **extra: object) -> Response:
    """What was typed stays; the missing receipt is named beside its field."""
    form.receipt.errors = [_RECEIPT_MISSING]
    return render_now(token, status=422, form=form, template=template, **extra)


def checked_form(token: str, form: ClaimForm, session: PaymentSession) -> CleanFile | None:
    """The fields and the file, both checked: a person hears of everything that is wrong at once."""
    with force_locale(pick_language(session.order.locale)):  # some words are made while it looks
        is_right = form.validate()
        upload = checked_upload(token, form)
    is_missing = upload is None and not session.receipts and not form.receipt.errors
    # Alone it is left to the claim, which knows what has been attached meanwhile.
    if not is_right and is_missing and asks_for_receipt(session.order):
        form.receipt.errors = [_RECEIPT_MISSING]
    return upload


def asks_for_receipt(order: OrderRecord) -> bool:
    """Whether saying "I have paid" takes a receipt now."""
    return order.status == Status.AWAITING_PAYMENT and get_store(order.store_id).receipt_required


def checked_upload(token: str, form: ClaimForm) -> CleanFile | None:
    """The form's file, checked, or None; what is wrong with it becomes an error of its field.

    None as well for a file that is attached already: who presses twice is answered as for the first time, also when
    the turn of the second never came. Raises NotFound for a token of nothing: nobody's file is not even looked at.
    """
    part = uploaded(request.files)
    if part is None:
        return None
    order = get_payment_session(token).order
    limit = receipt_max_bytes()
    raw = part.stream.read(limit + 1)
    if is_attached(order.id, ReceiptKind.PAYMENT, raw):
        return None
    release()
    try:
        return check_upload(raw, limit, uploader=uploader_at(request.remote_addr))
    except UploadsBusy:
        if is_attached(order.id, ReceiptKind.PAYMENT, raw):
            return None
        raise
    except DomainError as refusal:
        if refusal.status == 503:
            raise
        form.receipt.errors = [customers_file_words(refusal)]
        return None


@bp.post("/<token>/receipts")
@public(OWN_FORM)
def attach(token: str) -> Response:
    form = ClaimForm()
    upload = checked_upload(token, form)
    if uploaded(request.files) is None:
        form.receipt.errors = [_l("Choose a file first.")]
    if form.receipt.errors:
        return render_now(token, status=422, form=form)
    if upload is not None:
        with_locked_order(
            token, lambda order: add_receipt(order, upload, ReceiptKind.PAYMENT, actor=CUSTOMER)
        )
    return back_to_page(token)


@bp.post("/<token>/cancellation")
@public(OWN_FORM)
def cancel(token: str) -> Response:
    def work(order: OrderRecord) -> None:
        if order.status not in {Status.CANCELLED, Status.EXPIRED, Status.FAILED}:
            cancel_order(order, None, actor=CUSTOMER)

    try:
        with_locked_order(token, work)
    except InvalidTransition:
        notice = _l("This payment can't be cancelled any more. This is where it stands.")
        return render_now(token, status=409, notice=notice)
    return back_to_page(token)
