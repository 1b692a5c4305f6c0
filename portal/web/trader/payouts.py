"""What a trader does with a payout: takes it, pays it, proves it, says so, or gives it back."""

from __future__ import annotations

import uuid

from flask import request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.core.db import release, run_in_transaction
from portal.core.errors import NotFound, PayloadTooLarge, UnsupportedMedia, ValidationFailed
from portal.core.permissions import Permission, requires
from portal.core.uploads.check import CleanFile, check_upload
from portal.disputes.giving_back import give_order_back
from portal.orders.models import ReceiptKind, Status
from portal.orders.queries import get_order_for_trader
from portal.orders.receipts import add_receipt
from portal.orders.record import OrderRecord
from portal.orders.service import accept_payout, claim_payout
from portal.orders.service.claim import ProofMissing
from portal.orders.trader_view import was_given_back
from portal.reference.upload_sizes import receipt_max_bytes
from portal.web.labels.refusals import words_of_error
from portal.web.shared.orders.reasons import DeclineForm
from portal.web.trader import blueprint
from portal.web.trader.answers import FormState, done, still_open
from portal.web.trader.seat import current_seat


def payout_of_mine(order_id: uuid.UUID, *, lock: bool = False) -> OrderRecord:
    order = get_order_for_trader(current_seat().trader_id, order_id, lock=lock)
    if order.is_payin:
        raise NotFound("There is no such payout.")
    return order


@blueprint.post("/payouts/<order_id:order_id>/acceptance")
@requires(Permission.PAYOUT_PAY)
def accept(order_id: uuid.UUID) -> ResponseReturnValue:
    seat = current_seat()
    run_in_transaction(lambda: accept_payout(seat.trader_id, order_id, actor=seat.actor))
    return done(_("The payout is yours. Pay it before the time is up, then attach the proof."))


@blueprint.post("/payouts/<order_id:order_id>/proof")
@requires(Permission.PAYOUT_PAY)
def attach_proof(order_id: uuid.UUID) -> ResponseReturnValue:
    payout_of_mine(order_id)
    try:
        upload = _checked_upload()
        if upload is None:
            return still_open(FormState(order_id, "proof", problem=_("Choose the file of the proof.")))
        run_in_transaction(lambda: _attach(payout_of_mine(order_id, lock=True), upload))
    except (ValidationFailed, UnsupportedMedia, PayloadTooLarge) as error:
        return still_open(FormState(order_id, "proof", problem=words_of_error(error)))
    return done(_("The proof is attached."))


@blueprint.post("/payouts/<order_id:order_id>/claim")
@requires(Permission.PAYOUT_PAY)
def claim(order_id: uuid.UUID) -> ResponseReturnValue:
    """ "I have paid", with the proof in the same form or attached before."""
    payout_of_mine(order_id)
    try:
        upload = _checked_upload()
        run_in_transaction(lambda: _claim(payout_of_mine(order_id, lock=True), upload))
    except (ValidationFailed, UnsupportedMedia, PayloadTooLarge) as error:
        return still_open(FormState(order_id, "proof", problem=words_of_error(error)))
    except ProofMissing:
        return still_open(FormState(order_id, "proof", problem=_("Attach the proof of payment first.")))
    return done(
        _(
            "Noted. It counts as confirmed when the shop confirms, or a small one when nobody objects in time; support looks at the others."
        )
    )


@blueprint.post("/payouts/<order_id:order_id>/decline")
@requires(Permission.PAYOUT_PAY)
def give_back(order_id: uuid.UUID) -> ResponseReturnValue:
    try:
        order = payout_of_mine(order_id)
    except NotFound:
        if was_given_back(current_seat().trader_id, order_id):
            return done(_("You have given this payout back already."))
        raise
    form = DeclineForm(order, request.form)
    if form.problem:
        return still_open(FormState(order_id, "decline", form.words, problem=form.problem))
    return done(run_in_transaction(lambda: _give_back(payout_of_mine(order_id, lock=True), form)))


def _give_back(order: OrderRecord, form: DeclineForm) -> str:
    given = give_order_back(order, form.reason, form.words, actor=current_seat().actor)
    if given.status == Status.DISPUTED:
        return _(
            "You had attached a proof, so it is a dispute now: nobody else pays it. An administrator decides."
        )
    return _("The payout was given back and is offered to others.")


def _checked_upload() -> CleanFile | None:
    """The form's file, read by a limited process while no database connection is held."""
    file = request.files.get("proof")
    if file is None or not file.filename:
        return None
    largest = receipt_max_bytes()
    raw = file.stream.read(largest + 1)
    release()
    return check_upload(raw, largest, uploader=f"trader:{current_seat().trader_id}")


def _attach(order: OrderRecord, upload: CleanFile) -> None:
    add_receipt(order, upload, ReceiptKind.PAYOUT_PROOF, actor=current_seat().actor)


def _claim(order: OrderRecord, upload: CleanFile | None) -> None:
    if upload is not None:
        _attach(order, upload)
    claim_payout(order, actor=current_seat().actor)
