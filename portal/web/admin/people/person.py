"""`/admin/people/<id>`: one person, and what may be done about their login. Every change has a reason."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from flask import flash, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from portal.core.db import transaction
from portal.core.errors import Conflict, DomainError, Forbidden
from portal.core.permissions import Permission, requires
from portal.identity import people
from portal.traders.switching_off import switch_off_and_stop
from portal.web.admin import blueprint
from portal.web.admin.acting import admin_actor
from portal.web.admin.people.person_view import look_at
from portal.web.auth.sudo import needs_sudo
from portal.web.labels.refusals import words_of_error
from portal.web.shell.htmx import see_other
from portal.web.ui.reason_form import ReasonForm


@blueprint.get("/people/<uuid:person_id>")
@requires(Permission.PERSON_VIEW)
def person(person_id: uuid.UUID) -> ResponseReturnValue:
    return _page(person_id)


def _page(
    person_id: uuid.UUID,
    status: int = 200,
    *,
    form: ReasonForm | None = None,
    about: str = "",
    problem: str = "",
) -> Response:
    """`about` is the dialog that `form` was sent from: it is shown open, with what is wrong with it."""
    seen = look_at(person_id)
    page = render_template(
        "admin/person.html", seen=seen, form=form or ReasonForm(), about=about, words=problem, is_problem=True,
        is_oneself=person_id == current_user.id,
    )  # fmt: skip
    return make_response(page, status)


def _do(person_id: uuid.UUID, about: str, work: Callable[[str], None], done: str) -> Response:
    """Read the reason, do it, say that it was done; what is refused is said on the page."""
    form = ReasonForm(request.form)
    if not form.validate():
        return _page(person_id, 422, form=form, about=about)
    try:
        with transaction():
            work(form.reason.data)
    except (Conflict, Forbidden) as error:
        return _page(person_id, error.status, form=form, about=about, problem=words_of_refusal(error))
    flash(done)
    return see_other(url_for("admin.person", person_id=person_id))


def words_of_refusal(error: DomainError) -> str:
    """What the verbs about people refuse, in the reader's language."""
    if error.code == "needs_two_people":
        return _("Invite them without this role; then ask for it, and another administrator approves it.")
    return words_of_error(error)


@blueprint.post("/people/<uuid:person_id>/disabling")
@requires(Permission.PERSON_DISABLE)
@needs_sudo
def person_disable(person_id: uuid.UUID) -> ResponseReturnValue:
    return _do(
        person_id, "disable", lambda why: switch_off_and_stop(person_id, actor=admin_actor(), reason=why),
        _("The login is switched off. Its sessions are over."),
    )  # fmt: skip


@blueprint.post("/people/<uuid:person_id>/enabling")
@requires(Permission.PERSON_DISABLE)
@needs_sudo
def person_enable(person_id: uuid.UUID) -> ResponseReturnValue:
    return _do(
        person_id, "enable", lambda why: people.switch_on(person_id, actor=admin_actor(), reason=why),
        _("The login is switched on."),
    )  # fmt: skip


@blueprint.post("/people/<uuid:person_id>/second-factor/reset")
@requires(Permission.FACTOR_RESET)
@needs_sudo
def person_reset_factor(person_id: uuid.UUID) -> ResponseReturnValue:
    def reset(why: str) -> None:
        refuse_oneself(person_id)
        people.reset_second_factor(person_id, actor=admin_actor(), reason=why)

    return _do(person_id, "factor", reset, _("The second factor is taken away; they were told by mail."))


@blueprint.post("/people/<uuid:person_id>/sessions/end-all")
@requires(Permission.SESSION_REVOKE)
@needs_sudo
def person_end_sessions(person_id: uuid.UUID) -> ResponseReturnValue:
    return _do(
        person_id, "sessions", lambda why: people.end_sessions(person_id, actor=admin_actor(), reason=why),
        _("All of their sessions are over."),
    )  # fmt: skip


@blueprint.post("/people/<uuid:person_id>/sessions/<uuid:session_id>/end")
@requires(Permission.SESSION_REVOKE)
@needs_sudo
def person_end_session(person_id: uuid.UUID, session_id: uuid.UUID) -> ResponseReturnValue:
    with transaction():
        people.end_one_session(person_id, session_id, actor=admin_actor())
    flash(_("That session is over."))
    return see_other(url_for("admin.person", person_id=person_id))


def refuse_oneself(person_id: uuid.UUID) -> None:
    """Raises Forbidden `not_for_oneself`."""
    if person_id == current_user.id:
        raise Forbidden("Nobody does this to themselves.", code="not_for_oneself")
