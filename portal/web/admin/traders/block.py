"""Blocking a trader, from their page: no new orders come, those that run go on."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from flask import flash, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from portal.core.db import transaction
from portal.core.errors import Conflict, Forbidden
from portal.core.permissions import Permission, requires
from portal.traders.service import block_trader, unblock_trader
from portal.web.admin import blueprint
from portal.web.admin.acting import admin_actor
from portal.web.admin.people.person import words_of_refusal
from portal.web.admin.traders.trader import trader_page
from portal.web.auth.sudo import needs_sudo
from portal.web.shell.htmx import see_other
from portal.web.ui.reason_form import ReasonForm


@blueprint.post("/traders/<uuid:trader_id>/block")
@requires(Permission.TRADER_BLOCK)
@needs_sudo
def trader_block(trader_id: uuid.UUID) -> ResponseReturnValue:
    return _do(trader_id, "block", block_trader, _("The trader is blocked. The orders they have go on."))


@blueprint.post("/traders/<uuid:trader_id>/unblock")
@requires(Permission.TRADER_BLOCK)
@needs_sudo
def trader_unblock(trader_id: uuid.UUID) -> ResponseReturnValue:
    return _do(trader_id, "unblock", unblock_trader, _("The trader is not blocked any more."))


def _do(trader_id: uuid.UUID, about: str, verb: Callable[..., None], done: str) -> Response:
    form = ReasonForm(request.form)
    if not form.validate():
        return trader_page(trader_id, 422, block_form=form, about=about)
    try:
        with transaction():
            verb(trader_id, form.reason.data, actor=admin_actor())
    except (Conflict, Forbidden) as error:
        return trader_page(trader_id, error.status, problem=words_of_refusal(error))
    flash(done)
    return see_other(url_for("admin.trader", trader_id=trader_id))
