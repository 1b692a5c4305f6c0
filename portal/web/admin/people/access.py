"""`/admin/people/<id>/access`: roles, grants and denials; first what would change, then the change itself."""

from __future__ import annotations

import uuid
from functools import partial

from flask import make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from portal.approvals.access import change_access
from portal.core.permissions import Permission, requires
from portal.identity.access.changes import Access, AccessPreview, get_access, hash_of_change, preview_change
from portal.identity.models import Role
from portal.identity.people.logins import get_person
from portal.web.admin import blueprint
from portal.web.admin.acting import admin_actor
from portal.web.admin.people.access_form import BY_INVITATION, AccessForm, choices, form_of, read_form
from portal.web.admin.people.person import refuse_oneself, words_of_refusal
from portal.web.shared.approvals.asking import approval_life, asked
from portal.web.shell.flashes import flash
from portal.web.shell.guards import needs_sudo
from portal.web.shell.htmx import fragment, is_htmx, see_other
from portal.web.ui.actions import carry_out_and_answer


@blueprint.get("/people/<uuid:person_id>/access")
@requires(Permission.ACCESS_CHANGE)
@needs_sudo
def access(person_id: uuid.UUID) -> ResponseReturnValue:
    refuse_oneself(person_id)
    held = get_access(person_id)
    return _page(person_id, held, form_of(held))


@blueprint.post("/people/<uuid:person_id>/access/preview")
@requires(Permission.ACCESS_CHANGE)
@needs_sudo
def access_preview(person_id: uuid.UUID) -> ResponseReturnValue:
    refuse_oneself(person_id)
    held = get_access(person_id)
    form = read_form(request.form, held)
    change = form.change_of(held)
    if change.is_empty():
        return _page(person_id, held, form, 422, problem=_("Nothing differs from what they have now."))
    return _page(person_id, held, form, preview=preview_change(held, change))


@blueprint.post("/people/<uuid:person_id>/access")
@requires(Permission.ACCESS_CHANGE)
@needs_sudo
def access_change(person_id: uuid.UUID) -> ResponseReturnValue:
    refuse_oneself(person_id)
    held = get_access(person_id)
    form = read_form(request.form, held)
    change = form.change_of(held)
    if change.is_empty() or not form.reason.strip() or request.form.get("seen") != _mark(held, form):
        return _again(person_id, held, form)
    actor, life = admin_actor(), approval_life()
    return carry_out_and_answer(
        lambda: change_access(person_id, change, form.reason, life=life, actor=actor),
        partial(_changed, person_id),
        again=lambda status, refused: _page(person_id, held, form, status, problem=words_of_refusal(refused)),
    )


def _changed(person_id: uuid.UUID, request_id: uuid.UUID | None) -> Response:
    """Done, or asked for by the request."""
    if request_id is not None:
        return asked(request_id, url_for("admin.person", person_id=person_id))
    flash(_("Changed. It holds from their next request on."))
    return see_other(url_for("admin.person", person_id=person_id))


def _again(person_id: uuid.UUID, held: Access, form: AccessForm) -> Response:
    """Nothing is done that was not seen, or without a reason."""
    change = form.change_of(held)
    if change.is_empty():
        return _page(person_id, held, form, 422, problem=_("Nothing differs from what they have now."))
    preview = preview_change(held, change)
    if request.form.get("seen") != _mark(held, form):
        words = _("This is not what you were shown. Look at it again.")
        return _page(person_id, held, form, 409, preview=preview, problem=words)
    return _page(person_id, held, form, 422, preview=preview, reason_problem=_("Say why."))


def _mark(held: Access, form: AccessForm) -> str:
    """What a preview was of: the change, and what it starts from."""
    before = {permission.value: reach.value for permission, reach in held.permissions.items()}
    return hash_of_change(held.user_id, {"change": form.change_of(held).payload(), "before": before}).hex()


def _page(
    person_id: uuid.UUID,
    held: Access,
    form: AccessForm,
    status: int = 200,
    *,
    preview: AccessPreview | None = None,
    problem: str = "",
    reason_problem: str = "",
) -> Response:
    variables = {
        "person": get_person(person_id), "held": held, "form": form, "preview": preview, "problem": problem,
        "reason_problem": reason_problem, "roles": list(Role), "by_invitation": BY_INVITATION,
        "permissions": sorted(Permission, key=lambda permission: permission.value), "choices": choices(),
        "seen": _mark(held, form),
    }  # fmt: skip
    if is_htmx():
        return fragment("admin/access/_form.html", status, **variables)
    return make_response(render_template("admin/access/change.html", **variables), status)
