"""`/admin/invitations`: letting people in by a single-use link; they pick their own password."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

from flask import make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user
from werkzeug.wrappers import Response
from wtforms import SelectField, SelectMultipleField, StringField, ValidationError
from wtforms.fields import SelectChoice
from wtforms.validators import InputRequired, Length

from portal.core.actors import Actor
from portal.core.errors import DomainError
from portal.core.permissions import Permission, requires
from portal.identity.models import MemberRole, Role
from portal.identity.people.invitations import list_invitations
from portal.identity.people.logins import invite, withdraw_invitation
from portal.identity.roles import takes_two_people
from portal.mail.links import invitation_page
from portal.mail.transport import MailGoes, mail_goes
from portal.merchants.queries import list_merchant_names, stores
from portal.reference import configuration as config
from portal.settings import get_settings
from portal.traders.teams import list_teams
from portal.web.admin import blueprint
from portal.web.admin.acting import admin_actor
from portal.web.admin.people.lists import tabs
from portal.web.admin.people.person import words_of_refusal
from portal.web.labels.languages import language_choices
from portal.web.labels.roles import member_role_name, role_names
from portal.web.shell.flashes import flash
from portal.web.shell.guards import needs_sudo
from portal.web.shell.htmx import fragment, is_htmx, see_other
from portal.web.ui.actions import carry_out, carry_out_and_answer
from portal.web.ui.forms import PageForm, show_problems


class InvitationForm(PageForm):
    email = StringField(
        _l("Email"),
        validators=[InputRequired(_l("Type their email.")), Length(max=254, message=_l("This is too long."))],
    )
    roles = SelectMultipleField(_l("Roles"), validators=[InputRequired(_l("Choose a role."))])
    team = SelectField(_l("Team of the trader"))
    merchant = SelectField(_l("Merchant"))
    member_role = SelectField(_l("What they are there"))
    store_ids = SelectMultipleField(_l("Stores"))
    language = SelectField(_l("Language of the letter"), choices=language_choices())

    @property
    def is_of_member(self) -> bool:
        """Whether they are to work for a merchant."""
        return Role.MERCHANT.value in (self.roles.data or ())

    def validate_merchant(self, field: SelectField) -> None:
        if self.is_of_member and not field.data:
            raise ValidationError(_("Choose the merchant they work for."))

    def refuse(self, error: DomainError) -> bool:
        show_problems(self, error)
        return bool(error.errors)


def _form(values: Any = None, **data: object) -> InvitationForm:
    form = InvitationForm(values, **data)
    names = dict(list_merchant_names())
    none = SelectChoice("", _("none"))
    form.roles.choices = [(role.value, role_names([role])) for role in Role if not takes_two_people(role)]
    form.team.choices = [none, *(SelectChoice(str(team.id), team.name) for team in list_teams())]
    form.merchant.choices = [none, *(SelectChoice(str(key), name) for key, name in names.items())]
    form.member_role.choices = [SelectChoice(role.value, member_role_name(role)) for role in MemberRole]
    form.store_ids.choices = [
        (str(store.id), f"{names.get(store.merchant_id, '')} · {store.name}")
        for store in sorted(
            stores.get().values(), key=lambda store: (names.get(store.merchant_id, ""), store.name)
        )
    ]
    return form


@blueprint.get("/invitations")
@requires(Permission.PERSON_INVITE)
def invitations() -> ResponseReturnValue:
    return render_template(
        "admin/invitations/list.html", waiting=list_invitations(), tab_items=tabs,
        merchants=dict(list_merchant_names()),
    )  # fmt: skip


@blueprint.get("/invitations/new")
@requires(Permission.PERSON_INVITE)
@needs_sudo
def new_invitation() -> ResponseReturnValue:
    merchant = request.args.get("merchant", "")
    return _page(_form(merchant=merchant, roles=[Role.MERCHANT.value] if merchant else []))


@blueprint.post("/invitations")
@requires(Permission.PERSON_INVITE)
@needs_sudo
def invitation_send() -> ResponseReturnValue:
    form, actor, name = _form(request.form), admin_actor(), current_user.session.name
    return carry_out_and_answer(
        lambda: _send(form, actor, name),
        partial(_sent, form),
        form=form,
        again=lambda status, refused: _page(form, status, words_of_refusal(refused)),
    )


def _sent(form: InvitationForm, token: str) -> Response:
    """Where its letter goes, in words; without a letter the link itself."""
    email, way = form.email.data.strip(), mail_goes(get_settings())
    if way is MailGoes.NOWHERE:
        return _link_to_hand_over(email, token)
    if way is MailGoes.OUT:
        flash(_("The invitation is on its way to %(email)s.", email=email))
    else:
        flash(_("No letter leaves this house: the one to %(email)s is in the mailbox.", email=email))
    return see_other(url_for("admin.invitations"))


def _link_to_hand_over(email: str, token: str) -> Response:
    """Shown this once: no mail server is set, so nobody else will tell them."""
    link = get_settings().public_url + invitation_page(token)
    if is_htmx():
        return fragment("admin/invitations/_link.html", 200, email=email, link=link)
    return make_response(render_template("admin/invitations/link.html", email=email, link=link))


def _send(form: InvitationForm, actor: Actor, invited_by: str) -> str:
    is_member, roles = form.is_of_member, [Role(name) for name in form.roles.data]
    return invite(
        form.email.data,
        roles,
        actor=actor,
        invited_by=invited_by,
        ttl_s=config.get(config.INVITATION_TTL_S),
        locale=form.language.data,
        merchant_id=uuid.UUID(form.merchant.data) if is_member else None,
        member_role=MemberRole(form.member_role.data) if is_member else None,
        store_ids=[uuid.UUID(value) for value in form.store_ids.data] if is_member else (),
        team_id=uuid.UUID(form.team.data) if form.team.data and Role.TRADER in roles else None,
        by_mail=mail_goes(get_settings()) is not MailGoes.NOWHERE,
    )


@blueprint.post("/invitations/<uuid:invitation_id>/withdrawal")
@requires(Permission.PERSON_INVITE)
def invitation_withdraw(invitation_id: uuid.UUID) -> ResponseReturnValue:
    actor = admin_actor()
    return carry_out(
        lambda: withdraw_invitation(invitation_id, actor=actor),
        done=_l("The invitation's link is worth nothing now."),
        back=url_for("admin.invitations"),
    )


def _page(form: InvitationForm, status: int = 200, problem: str = "") -> Response:
    if is_htmx():
        return fragment("admin/invitations/_form.html", status, form=form, problem=problem)
    return make_response(render_template("admin/invitations/new.html", form=form, problem=problem), status)
