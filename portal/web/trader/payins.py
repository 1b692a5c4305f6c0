"""What a trader does with a payin: the money came (all of it, or another amount), or it did not."""

from __future__ import annotations

import uuid
from functools import partial

from flask import request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.core.db import run_in_transaction
from portal.core.errors import NotFound
from portal.core.money import AmountError
from portal.core.permissions import Permission, requires
from portal.disputes.giving_back import give_order_back
from portal.orders.models import Status
from portal.orders.queries import get_order_for_trader
from portal.orders.record import OrderRecord
from portal.orders.service import confirm_payin_at_once
from portal.orders.trader_view import was_given_back
from portal.web.shared.orders.reasons import DeclineForm
from portal.web.trader import blueprint
from portal.web.trader.answers import FormState, done, still_open
from portal.web.trader.seat import current_seat
from portal.web.ui.formats import amount_text
from portal.web.ui.money_field import problem_of, read_typed_amount


def payin_of_mine(order_id: uuid.UUID, *, lock: bool = False) -> OrderRecord:
    order = get_order_for_trader(current_seat().trader_id, order_id, lock=lock)
    if not order.is_payin:
        raise NotFound("There is no such payin.")
    return order


@blueprint.post("/payins/<order_id:order_id>/confirmation")
@requires(Permission.PAYIN_CONFIRM)
def confirm(order_id: uuid.UUID) -> ResponseReturnValue:
    typed = request.form.get("amount", "")[:40]
    received = None
    if typed:
        order = payin_of_mine(order_id)
        try:
            received = read_typed_amount(typed, order.currency)
        except AmountError as error:
            return still_open(FormState(order_id, "amount", typed, problem=str(problem_of(error))))
        if received != order.amount_minor and request.form.get("agreed_minor") != str(received):
            return still_open(FormState(order_id, "amount", typed, agreed_minor=received))
    actor = current_seat().actor
    ended = confirm_payin_at_once(partial(payin_of_mine, order_id), received, actor=actor)
    if ended.amount_reported_minor is not None:
        said = amount_text(ended.amount_reported_minor, ended.currency)
        return done(
            _("Noted: %(amount)s %(currency)s. The customer is asked first, since it is far from the order's amount.",
              amount=said, currency=ended.currency)
        )  # fmt: skip
    amount = amount_text(ended.actual_minor, ended.currency)
    return done(_("Confirmed: %(amount)s %(currency)s.", amount=amount, currency=ended.currency))


@blueprint.post("/payins/<order_id:order_id>/decline")
@requires(Permission.PAYIN_DECLINE)
def decline(order_id: uuid.UUID) -> ResponseReturnValue:
    """The money did not come, or can't: whether that is a dispute the domain decides."""
    trader_id = current_seat().trader_id
    try:
        order = payin_of_mine(order_id)
    except NotFound:
        if was_given_back(trader_id, order_id):
            return done(_("You have given this order back already."))
        raise
    form = DeclineForm(order, request.form)
    if form.problem:
        return still_open(FormState(order_id, "decline", form.words, problem=form.problem))
    return done(run_in_transaction(lambda: _decline(payin_of_mine(order_id, lock=True), form)))


def _decline(order: OrderRecord, form: DeclineForm) -> str:
    given = give_order_back(order, form.reason, form.words, actor=current_seat().actor)
    if given.status == Status.DISPUTED:
        return _("The dispute is open. An administrator decides; the money on hold stays where it is.")
    return _("The order was given back. It will not come to you again.")
