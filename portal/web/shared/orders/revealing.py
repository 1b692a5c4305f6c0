"""`/<portal>/requisites/<id>/number`: a requisite's whole number, for a reason that is written down."""

from __future__ import annotations

import uuid

from flask import make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from portal.core.db import transaction
from portal.core.errors import NotFound, ValidationFailed
from portal.core.ids import parse_public_id
from portal.core.permissions import Permission, requires
from portal.traders.models import Requisite
from portal.traders.queries import get_requisite
from portal.traders.reveal import reveal_number
from portal.web.shared.orders.staff_scope import is_everybodys
from portal.web.shell.acting import acting_person
from portal.web.shell.guards import needs_sudo
from portal.web.ui.reason_form import ReasonForm


def _requisite(requisite_id: uuid.UUID) -> Requisite:
    if not is_everybodys(Permission.NUMBER_REVEAL):
        raise NotFound("There is no such requisite.")
    return get_requisite(requisite_id)


@requires(Permission.NUMBER_REVEAL)
@needs_sudo
def requisite_number(requisite_id: uuid.UUID) -> ResponseReturnValue:
    return _page(_requisite(requisite_id), ReasonForm())


@requires(Permission.NUMBER_REVEAL)
@needs_sudo
def show_requisite_number(requisite_id: uuid.UUID) -> ResponseReturnValue:
    """The number, on this answer alone: it is in no address, in no message and in no cache."""
    requisite, form = _requisite(requisite_id), ReasonForm(request.form)
    if not form.validate():
        return _page(requisite, form, 422)
    try:
        with transaction():
            number = reveal_number(requisite_id, form.reason.data, actor=acting_person())
    except ValidationFailed:
        form.reason.errors = [_("Say why in a few words.")]
        return _page(requisite, form, 422)
    return _page(requisite, form, number=number)


def _page(requisite: Requisite, form: ReasonForm, status: int = 200, number: str | None = None) -> Response:
    order_id = parse_public_id("ord", request.args.get("order", ""))
    page = render_template(
        "orders/number.html", requisite=requisite, form=form, number=number, order_id=order_id,
        portal=request.blueprint,
    )  # fmt: skip
    response = make_response(page, status)
    response.headers["Cache-Control"] = "no-store"
    return response
