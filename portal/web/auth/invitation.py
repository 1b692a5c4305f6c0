"""`/invitation/<token>`: somebody who was invited picks a name and a password, or adds roles to their login."""

from __future__ import annotations

from flask import make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from portal.core.db import transaction
from portal.core.errors import Conflict, NotFound, ValidationFailed
from portal.core.permissions import Permission, public, requires
from portal.identity.people.invitations import Invited, find_invitation
from portal.identity.proofs.second_factor import note_sign_in
from portal.identity.tokens.sessions import start_session
from portal.reference import configuration as config
from portal.traders.joining import join_as_known, join_as_new
from portal.web.auth.forms import JoinForm
from portal.web.auth.routes import blueprint
from portal.web.shared.sign_in.entering import enter, session_times
from portal.web.shell.htmx import see_other
from portal.web.shell.languages import current_language
from portal.web.shell.origin import current_origin
from portal.web.ui.forms import show_problems

_WHY = "the link itself is the proof: 256 random bits, good once"


@blueprint.get("/invitation/<string:token>")
@public(_WHY)
def show_invitation(token: str) -> ResponseReturnValue:
    return _page(token, JoinForm(), 200)


@blueprint.post("/invitation/<string:token>")
@public(_WHY)
def accept_invitation(token: str) -> ResponseReturnValue:
    form, origin = JoinForm(request.form), current_origin()
    if not form.validate():
        return _page(token, form, 422)
    try:
        with transaction():
            user = join_as_new(
                token, form.name.data, form.password.data, locale=current_language(), timezone="UTC",
                min_length=config.get(config.PASSWORD_MIN_LENGTH), origin=origin,
            )  # fmt: skip
            new = start_session(user.id, origin.ip, origin.user_agent, session_times())
            note_sign_in(new, user.id, origin)
    except ValidationFailed as error:
        show_problems(form, error)
        return _page(token, form, 422)
    except (NotFound, Conflict):
        return _page(token, form, 404)
    return enter(new, url_for("auth.start"))


@blueprint.post("/invitation/<string:token>/acceptance")
@requires(Permission.ACCOUNT_VIEW)
def accept_with_login(token: str) -> ResponseReturnValue:
    with transaction():
        join_as_known(token, current_user.id, current_origin())
    return see_other(url_for("auth.start"))


def _page(token: str, form: JoinForm, status: int) -> Response:
    """The form of this link; the same page for a link that was used, is too old or never was."""
    invited: Invited | None = find_invitation(token)
    if invited is None:
        page = render_template("auth/link_over.html", what=_("This invitation can't be used"))
        return _without_referrer(make_response(page, 404))
    page = render_template("auth/invitation.html", form=form, invited=invited, token=token)
    return _without_referrer(make_response(page, status))


def _without_referrer(response: Response) -> Response:
    """The address of the page is a secret: nobody is told where the reader came from."""
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
