"""`/admin/merchants/<id>`: one merchant with stores and members, and whether its programs are let in."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from flask import flash, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from portal.core.db import transaction
from portal.core.errors import Conflict, NotFound
from portal.core.permissions import Permission, requires
from portal.identity.people_list import PeopleFilter, PersonSort, list_people_rows
from portal.merchants.blocking import block_merchant, concerned_by_block, unblock_merchant
from portal.merchants.queries import list_stores_of_merchant
from portal.merchants.staff_list import find_merchant_line
from portal.web.admin import blueprint
from portal.web.admin.acting import admin_actor
from portal.web.admin.audit.history import history_of
from portal.web.admin.people.lists import people_listing
from portal.web.admin.people.person import words_of_refusal
from portal.web.auth.sudo import needs_sudo
from portal.web.shell.htmx import see_other
from portal.web.ui.lists.listing import fixed
from portal.web.ui.reason_form import ReasonForm

_MEMBERS_SHOWN = 200


@blueprint.get("/merchants/<uuid:merchant_id>")
@requires(Permission.MERCHANT_VIEW)
def merchant(merchant_id: uuid.UUID) -> ResponseReturnValue:
    return _page(merchant_id)


@blueprint.post("/merchants/<uuid:merchant_id>/block")
@requires(Permission.MERCHANT_BLOCK)
@needs_sudo
def merchant_block(merchant_id: uuid.UUID) -> ResponseReturnValue:
    return _do(merchant_id, "block", block_merchant, _("The merchant is blocked. What runs is finished."))


@blueprint.post("/merchants/<uuid:merchant_id>/unblock")
@requires(Permission.MERCHANT_BLOCK)
@needs_sudo
def merchant_unblock(merchant_id: uuid.UUID) -> ResponseReturnValue:
    return _do(merchant_id, "unblock", unblock_merchant, _("The merchant is let in again."))


def _do(merchant_id: uuid.UUID, about: str, verb: Callable[..., None], done: str) -> Response:
    form = ReasonForm(request.form)
    if not form.validate():
        return _page(merchant_id, 422, form=form, about=about)
    try:
        with transaction():
            verb(merchant_id, form.reason.data, actor=admin_actor())
    except Conflict as error:
        return _page(merchant_id, error.status, problem=words_of_refusal(error))
    flash(done)
    return see_other(url_for("admin.merchant", merchant_id=merchant_id))


def _page(
    merchant_id: uuid.UUID,
    status: int = 200,
    *,
    form: ReasonForm | None = None,
    about: str = "",
    problem: str = "",
) -> Response:
    """`about` is the dialog that `form` was sent from."""
    found = find_merchant_line(merchant_id)
    if found is None:
        raise NotFound("There is no such merchant.")
    members = list_people_rows(
        PeopleFilter(merchant_id=merchant_id), PersonSort.NAME, is_descending=False, limit=_MEMBERS_SHOWN
    )
    page = render_template(
        "admin/merchant.html",
        merchant=found,
        stores=list_stores_of_merchant(merchant_id),
        members=fixed(people_listing(), members),
        concerned=concerned_by_block(merchant_id) if current_user.can(Permission.MERCHANT_BLOCK) else None,
        history=history_of("merchant", merchant_id),
        form=form or ReasonForm(),
        about=about,
        words=problem,
        is_problem=True,
    )
    return make_response(page, status)
