"""`/admin/people/<id>`: one person, and what may be done about their login. Every change has a reason."""

from __future__ import annotations

import uuid
from typing import Any

from flask import url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user
from werkzeug.wrappers import Response

from portal.core.errors import DomainError, Forbidden
from portal.core.permissions import Permission, requires
from portal.identity.people import logins
from portal.traders.switching_off import switch_off_and_stop
from portal.web.admin import blueprint
from portal.web.admin.acting import admin_actor
from portal.web.admin.people.person_view import look_at
from portal.web.shell.guards import needs_sudo
from portal.web.ui.actions import NOTHING_SENT, Action, ActionPage, Reply, carry_out, said


@blueprint.get("/people/<uuid:person_id>")
@requires(Permission.PERSON_VIEW)
def person(person_id: uuid.UUID) -> ResponseReturnValue:
    return _page(person_id)


def _page(person_id: uuid.UUID, reply: Reply = NOTHING_SENT) -> Response:
    seen = look_at(person_id)
    return reply.render("admin/person.html", seen=seen, offers=_PERSON.offers(person_id, seen))


def words_of_refusal(error: DomainError | None) -> str:
    """What the verbs about people refuse, in the reader's language; nothing if nothing is refused."""
    if error is not None and error.code == "needs_two_people":
        return _("Invite them without this role; then ask for it, and another administrator approves it.")
    return said(error)


def refuse_oneself(person_id: uuid.UUID) -> None:
    """Raises Forbidden `not_for_oneself`."""
    if person_id == current_user.id:
        raise Forbidden("Nobody does this to themselves.", code="not_for_oneself")


def _reset_factor(person_id: uuid.UUID, **given: Any) -> None:
    refuse_oneself(person_id)
    logins.reset_second_factor(person_id, **given)


_PERSON = ActionPage("person", "/people/<uuid:person_id>", "person_id", (
    Action(
        "disable", "disabling", Permission.PERSON_DISABLE, switch_off_and_stop,
        _l("Switch the login off"), lambda seen: _("Switch off %(name)s's login?", name=seen.user.name),
        _l("They are signed out everywhere at once and can't sign in until it is switched on again."),
        _l("The login is switched off. Its sessions are over."),
        "danger", lambda seen: seen.user.is_active and not seen.is_oneself,
    ),
    Action(
        "enable", "enabling", Permission.PERSON_DISABLE, logins.switch_on,
        _l("Switch the login on"), lambda seen: _("Switch on %(name)s's login?", name=seen.user.name),
        _l("They can sign in again with their password and second factor."),
        _l("The login is switched on."),
        fits=lambda seen: not seen.user.is_active and not seen.is_oneself,
    ),
    Action(
        "factor", "second-factor/reset", Permission.FACTOR_RESET, _reset_factor,
        _l("Reset the second factor"), lambda seen: _("Take away %(name)s's second factor?", name=seen.user.name),
        _l("App, passkeys and recovery codes are forgotten, all sessions end, and they are told by mail. Be sure that it is them who asks."),
        _l("The second factor is taken away; they were told by mail."),
        "danger", lambda seen: seen.has_second_factor and not seen.is_oneself,
    ),
    Action(
        "sessions", "sessions/end-all", Permission.SESSION_REVOKE, logins.end_sessions,
        _l("End all"), lambda seen: _("End all of %(name)s's sessions?", name=seen.user.name),
        _l("They and the programs that use their name are signed out at once. They can sign in again."),
        _l("All of their sessions are over."),
        "danger", lambda seen: bool(seen.sessions) and not seen.is_oneself,
    ),
), _page)  # fmt: skip
_PERSON.add_to(blueprint)


@blueprint.post("/people/<uuid:person_id>/sessions/<uuid:session_id>/end")
@requires(Permission.SESSION_REVOKE)
@needs_sudo
def person_end_session(person_id: uuid.UUID, session_id: uuid.UUID) -> ResponseReturnValue:
    actor = admin_actor()
    return carry_out(
        lambda: logins.end_one_session(person_id, session_id, actor=actor),
        done=_l("That session is over."),
        back=url_for("admin.person", person_id=person_id),
    )
