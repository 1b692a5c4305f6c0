"""`/account/tokens`: programs that are signed in with one's name, and the API keys of one's stores."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from flask import Blueprint, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user
from werkzeug.wrappers import Response
from wtforms import IntegerField, SelectField, SelectMultipleField, StringField
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from portal.audit.service import record_audit
from portal.core.actors import Actor
from portal.core.db import transaction
from portal.core.errors import ValidationFailed
from portal.core.ids import parse_public_id, public_id
from portal.core.modes import Mode
from portal.core.permissions import Permission, requires
from portal.identity.acting import actor_of
from portal.identity.models import ApiKey, Scope
from portal.identity.tokens.token_families import list_own_families, revoke_own_family
from portal.merchants.member_keys import (
    issue_as_member,
    list_issuable,
    list_keys_of_member,
    revoke_as_member,
    rotate_as_member,
)
from portal.merchants.queries import find_store
from portal.web.labels.modes import mode_choices
from portal.web.labels.scopes import SCOPE
from portal.web.shell.flashes import flash
from portal.web.shell.guards import needs_sudo
from portal.web.shell.htmx import see_other
from portal.web.shell.origin import current_origin
from portal.web.ui.forms import PageForm, show_problems

blueprint = Blueprint("tokens", __name__, url_prefix="/account/tokens")


# No route of the API asks for it.
_NOT_OFFERED = {Scope.WITHDRAWALS_WRITE}


class KeyForm(PageForm):
    store = SelectField(_l("Store"))
    mode = SelectField(_l("Mode"), choices=mode_choices())
    name = StringField(
        _l("Name"),
        validators=[
            InputRequired(_l("Give it a name by which you will recognise it.")),
            Length(max=80, message=_l("This is too long.")),
        ],
    )
    scopes = SelectMultipleField(_l("What it may do"))
    allowed_networks = StringField(
        _l("Only from these networks"), validators=[Length(max=1000, message=_l("This is too long."))]
    )
    days = IntegerField(
        _l("Ends after days"),
        validators=[Optional(), NumberRange(1, 3650, _l("Give a number from 1 to 3650."))],
    )


def _actor() -> Actor:
    return Actor(
        actor_of(current_user.id, current_user.session.roles).kind, current_user.id, current_origin()
    )


def _form(**values: object) -> KeyForm | None:
    """Empty, or with what was sent; None for who may issue no key."""
    issuable = list_issuable(current_user.id)
    if not issuable:
        return None
    form = KeyForm(request.form if request.method == "POST" else None, **values)
    form.store.choices = [(public_id("st", store.id), store.name) for store, _scopes in issuable]
    may = set().union(*(scopes for _store, scopes in issuable))
    form.scopes.choices = [
        (scope.value, words) for scope, words in SCOPE.items() if scope in may - _NOT_OFFERED
    ]
    return form


def _page(form: KeyForm | None, status: int = 200) -> Response:
    families = list_own_families(current_user.id)
    names = {
        line.store_id: store.name
        for line in families
        if (store := find_store(line.store_id or uuid.UUID(int=0)))
    }
    page = render_template(
        "account/tokens.html",
        families=families,
        store_names=names,
        stores=list_keys_of_member(current_user.id),
        form=form,
        now=datetime.now(UTC),
    )
    return make_response(page, status)


@blueprint.get("")
@requires(Permission.TOKEN_VIEW)
def index() -> ResponseReturnValue:
    return _page(_form())


@blueprint.post("/programs/<uuid:family_id>/revocation")
@requires(Permission.TOKEN_REVOKE)
def revoke_program(family_id: uuid.UUID) -> ResponseReturnValue:
    with transaction():
        revoke_own_family(current_user.id, family_id)
        record_audit("program.signed_out", actor=_actor(), subject=("token_family", family_id))
    flash(_("That program is signed out."))
    return see_other(url_for("tokens.index"))


@blueprint.post("/keys")
@requires(Permission.API_KEY_ISSUE)
@needs_sudo
def issue_key() -> ResponseReturnValue:
    form = _form()
    if form is None or not form.validate():
        return _page(form, 422)
    ends_at = datetime.now(UTC) + timedelta(days=form.days.data) if form.days.data else None
    networks = (form.allowed_networks.data or "").replace(",", " ").split()
    scopes = [Scope(name) for name in form.scopes.data]
    store_id = parse_public_id("st", form.store.data) or uuid.UUID(int=0)
    try:
        with transaction():
            key, secret = issue_as_member(
                current_user.id, store_id, Mode(form.mode.data), form.name.data, scopes,
                allowed_networks=networks, expires_at=ends_at, actor=_actor(),
            )  # fmt: skip
    except ValidationFailed as error:
        show_problems(form, error)
        return _page(form, 422)
    return _shown_once(key, secret)


@blueprint.post("/keys/<uuid:key_id>/rotation")
@requires(Permission.API_KEY_ISSUE)
@needs_sudo
def rotate_key(key_id: uuid.UUID) -> ResponseReturnValue:
    with transaction():
        key, secret = rotate_as_member(current_user.id, key_id, actor=_actor())
    return _shown_once(key, secret)


@blueprint.post("/keys/<uuid:key_id>/revocation")
@requires(Permission.API_KEY_REVOKE)
def revoke_key(key_id: uuid.UUID) -> ResponseReturnValue:
    with transaction():
        revoke_as_member(current_user.id, key_id, actor=_actor())
    flash(_("The key is revoked. Nothing it was used for works any more."))
    return see_other(url_for("tokens.index"))


def _shown_once(key: ApiKey, secret: str) -> Response:
    return make_response(render_template("account/new_key.html", key=key, secret=secret), 201)
