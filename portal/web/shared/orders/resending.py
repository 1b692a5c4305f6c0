"""Sending one webhook of an order again, for whoever may: the shop's own people, or staff."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from flask import flash, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from portal.core.db import run_in_transaction
from portal.core.errors import Conflict
from portal.core.modes import Mode
from portal.orders.record import OrderRecord
from portal.web.shell.acting import acting_person
from portal.web.shell.htmx import see_other
from portal.web.ui.reason_form import ReasonForm
from portal.webhooks.service import request_redelivery


def resend(load: Callable[[], OrderRecord], delivery_id: uuid.UUID) -> Response:
    """Put the delivery first in line and go back to the order. `load` gives the order to who may see it.

    Raises NotFound for what is not of that order. A second time within its sending changes nothing but the log.
    """
    form, actor = ReasonForm(request.form), acting_person()
    order = load()
    back = url_for(f"{request.blueprint}.order", order_id=order.id, _anchor="webhooks")

    def work() -> None:
        mode, reason = Mode(order.mode), " ".join(form.reason.data.split())
        request_redelivery(order.store_id, mode, delivery_id, about=order.id, reason=reason, actor=actor)

    if not form.validate():
        flash(_("Nothing was sent: say why in a few words."))
        return see_other(back)
    try:
        run_in_transaction(work)
    except Conflict:
        flash(_("Nothing was sent: the endpoint is switched off."))
        return see_other(back)
    flash(_("The webhook is on its way again."))
    return see_other(back)
