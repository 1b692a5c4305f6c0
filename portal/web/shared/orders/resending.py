"""Sending one webhook of an order again, for whoever may: the shop's own people, or staff."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from flask import request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from portal.core.errors import DomainError
from portal.core.modes import Mode
from portal.orders.record import OrderRecord
from portal.web.shell.acting import acting_person
from portal.web.shell.flashes import flash
from portal.web.shell.htmx import see_other
from portal.web.ui.actions import carry_out
from portal.web.ui.reason_form import ReasonForm
from portal.webhooks.service import request_redelivery


def resend(load: Callable[[], OrderRecord], delivery_id: uuid.UUID) -> Response:
    """Put the delivery first in line and go back to the order. `load` gives the order to who may see it.

    Raises NotFound for what is not of that order. A second time within its sending changes nothing but the log.
    """
    form, actor, order = ReasonForm(request.form), acting_person(), load()
    back = url_for(f"{request.blueprint}.order", order_id=order.id, _anchor="webhooks")

    def not_sent(_status: int, refused: DomainError | None) -> Response:
        why = _("Nothing was sent: say why in a few words.")
        flash(_("Nothing was sent: the endpoint is switched off.") if refused else why)
        return see_other(back)

    return carry_out(
        lambda: request_redelivery(
            order.store_id, Mode(order.mode), delivery_id, about=order.id, reason=form.words, actor=actor
        ),
        form=form, again=not_sent, done=_l("The webhook is on its way again."), back=back,
    )  # fmt: skip
