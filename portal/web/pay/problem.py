""" "I have a problem": each trouble has its own page, and each leads to a verb that helps."""

from __future__ import annotations

from enum import StrEnum

from flask import redirect, request
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from portal.core.actors import CUSTOMER
from portal.core.errors import NotFound
from portal.core.money import format_amount
from portal.core.permissions import public
from portal.core.uploads.check import CleanFile
from portal.disputes.models import DisputeReason
from portal.disputes.service import open_dispute
from portal.orders.models import ReceiptKind, Status
from portal.orders.payment_session import PaymentSession, get_payment_session
from portal.orders.receipts import add_receipt
from portal.orders.record import OrderRecord
from portal.orders.service.claim import PayerDetails, ProofMissing
from portal.reference.queries import get_currency
from portal.web.pay import bp
from portal.web.pay.forms import AmountForm, AppealForm, ClaimForm, WordsForm
from portal.web.pay.guard import OWN_FORM
from portal.web.pay.rendering import back_to_page, link_of, render_session
from portal.web.pay.steps import checked_form, claim_order, receipt_missing, with_locked_order


class Trouble(StrEnum):
    """What a customer may say is wrong."""

    NOT_PAID = "not_paid"
    OTHER_AMOUNT = "other_amount"
    WRONG_REQUISITE = "wrong_requisite"
    PAID_LATE = "paid_late"
    NOT_CONFIRMED = "not_confirmed"


# Which troubles there can be while the order stands like this.
TROUBLES = {
    Status.MATCHING: (Trouble.NOT_PAID,),
    Status.AWAITING_PAYMENT: (Trouble.NOT_PAID, Trouble.OTHER_AMOUNT, Trouble.WRONG_REQUISITE),
    Status.AWAITING_CONFIRMATION: (Trouble.OTHER_AMOUNT, Trouble.WRONG_REQUISITE, Trouble.NOT_CONFIRMED),
    Status.EXPIRED: (Trouble.PAID_LATE,),
}
_DISPUTE_REASONS = {
    Trouble.OTHER_AMOUNT: DisputeReason.PAID_ANOTHER_AMOUNT,
    Trouble.WRONG_REQUISITE: DisputeReason.WRONG_REQUISITE,
    Trouble.PAID_LATE: DisputeReason.PAID_LATE,
}


def possible_troubles(order: OrderRecord) -> tuple[Trouble, ...]:
    return TROUBLES.get(Status(order.status), ())


@bp.get("/<token>/problem")
@public(OWN_FORM)
def choose_problem(token: str) -> Response:
    session = get_payment_session(token)
    troubles = possible_troubles(session.order)
    if len(troubles) == 1:
        return redirect(link_of(token)("pay.show_problem", trouble=troubles[0].value), 303)
    if not troubles:
        return back_to_page(token)
    return render_session(session, token, template="pay/problem.html", troubles=troubles)


@bp.get("/<token>/problem/<trouble>")
@public(OWN_FORM)
def show_problem(token: str, trouble: str) -> Response:
    session = get_payment_session(token)
    kind = _trouble(trouble)
    if kind not in possible_troubles(session.order):
        return back_to_page(token)
    form = _form_of(kind, session.order)
    return render_session(session, token, template=f"pay/problem_{kind}.html", form=form, trouble=kind)


@bp.post("/<token>/problem/<trouble>")
@public(OWN_FORM)
def report_problem(token: str, trouble: str) -> Response:
    kind = _trouble(trouble)
    session = get_payment_session(token)
    if kind not in _DISPUTE_REASONS:
        raise NotFound()
    if session.order.status == Status.DISPUTED:
        return back_to_page(token)
    if kind not in possible_troubles(session.order):
        return render_session(
            session, token, status=409, notice=_l("This payment has moved on. This is where it stands.")
        )
    return _report(token, kind, session)


def _report(token: str, kind: Trouble, session: PaymentSession) -> Response:
    template = f"pay/problem_{kind}.html"
    form = _form_of(kind, session.order)
    upload = checked_form(token, form, session)
    if form.errors:
        return render_session(session, token, status=422, template=template, form=form, trouble=kind)
    try:
        with_locked_order(token, lambda order: _carry_out(order, kind, form, upload))
    except ProofMissing:
        return receipt_missing(token, form, template, trouble=kind)
    return back_to_page(token)


def _trouble(text: str) -> Trouble:
    if text not in set(Trouble):
        raise NotFound()
    return Trouble(text)


def _form_of(kind: Trouble, order: OrderRecord) -> ClaimForm:
    """The form of a trouble, filled with what was sent."""
    typed = request.form if request.method == "POST" else None
    if kind is Trouble.PAID_LATE:
        return AppealForm(typed, currency=order.currency)
    if kind is Trouble.OTHER_AMOUNT:
        return AmountForm(typed, currency=order.currency)
    return WordsForm(typed) if kind is Trouble.WRONG_REQUISITE else ClaimForm(typed)


def _carry_out(order: OrderRecord, kind: Trouble, form: ClaimForm, upload: CleanFile | None) -> None:
    """Before a claim, another amount is a claim that says so: the trader can confirm what came.

    Everything else is a dispute. What has been said already, or has moved on, changes nothing.
    """
    if order.status == Status.DISPUTED or kind not in possible_troubles(order):
        return
    claimed_minor = form.amount.minor if isinstance(form, AmountForm) else None
    if kind is Trouble.OTHER_AMOUNT and order.status == Status.AWAITING_PAYMENT:
        claim_order(order, _payer(order, form, claimed_minor), upload)
        return
    if upload is not None:
        add_receipt(order, upload, ReceiptKind.PAYMENT, actor=CUSTOMER)
    words = " · ".join(text for text in _words(form) if text) or None
    open_dispute(order, _DISPUTE_REASONS[kind], words, claimed_minor, actor=CUSTOMER)


def _payer(order: OrderRecord, form: ClaimForm, claimed_minor: int | None) -> PayerDetails:
    """The amount that was sent stands in front of the reference, where the trader looks."""
    sent = format_amount(claimed_minor or order.amount_minor, get_currency(order.currency).exponent)
    reference = " · ".join(text for text in (f"sent {sent} {order.currency}", form.reference.data) if text)
    return PayerDetails(form.name.data, form.last4.data, form.bank.data, reference)


def _words(form: ClaimForm) -> list[str | None]:
    paid_at = form.paid_at.data if isinstance(form, AppealForm) else None
    words = form.words.data if isinstance(form, AppealForm | WordsForm) else None
    details = (form.name.data, form.last4.data, form.bank.data, form.reference.data)
    return [f"sent {paid_at}" if paid_at else None, words, *details]
