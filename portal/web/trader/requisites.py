"""`/trader/requisites`: what the trader receives to and pays from: add, limit, switch, archive."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from flask import make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _l
from flask_login import current_user
from werkzeug.wrappers import Response

from portal.core.permissions import Permission, requires
from portal.reference import configuration as config
from portal.reference.queries import list_currencies, list_methods, method_terms
from portal.traders.models import Requisite
from portal.traders.queries import list_requisites
from portal.traders.requisites import (
    archive_requisite,
    change_requisite,
    own_requisite,
    submit_requisite,
    switch_own,
)
from portal.web.shared.requisites.words import bars_of
from portal.web.shell.guards import needs_sudo
from portal.web.trader import blueprint
from portal.web.trader.requisite_form import NewRequisiteForm, TermsForm, form_of
from portal.web.trader.seat import current_seat
from portal.web.ui.actions import carry_out, said
from portal.web.ui.formats import method_name


@blueprint.get("/requisites")
@requires(Permission.REQUISITE_VIEW)
def requisites() -> ResponseReturnValue:
    return _list()


@blueprint.get("/requisites/new")
@requires(Permission.REQUISITE_CHANGE)
@needs_sudo
def new_requisite() -> ResponseReturnValue:
    """First the method, then what it needs."""
    chosen = _chosen()
    return _new(chosen, NewRequisiteForm(None, *chosen) if chosen else None)


@blueprint.post("/requisites/new")
@requires(Permission.REQUISITE_CHANGE)
@needs_sudo
def add_requisite() -> ResponseReturnValue:
    chosen, seat = _chosen(), current_seat()
    if chosen is None:
        return _new(None, None, 422)
    form = NewRequisiteForm(request.form, *chosen)
    user_id = current_user.id
    return carry_out(
        lambda: submit_requisite(
            seat.trader_id, form.new_requisite(chosen[0]), user_id=user_id, actor=seat.actor
        ),
        form=form,
        again=lambda status, _refused: _new(chosen, form, status),
        done=_l("The requisite is added. It gets orders when it is approved and switched on."),
        back=url_for("trader.requisites"),
    )


@blueprint.get("/requisites/<uuid:requisite_id>")
@requires(Permission.REQUISITE_CHANGE)
def requisite(requisite_id: uuid.UUID) -> ResponseReturnValue:
    found = own_requisite(current_seat().trader_id, requisite_id)
    return _one(found, form_of(found))


@blueprint.post("/requisites/<uuid:requisite_id>")
@requires(Permission.REQUISITE_CHANGE)
@needs_sudo
def save_requisite(requisite_id: uuid.UUID) -> ResponseReturnValue:
    seat, user_id = current_seat(), current_user.id
    found = own_requisite(seat.trader_id, requisite_id)
    form = TermsForm(request.form, found.method, found.currency)
    return carry_out(
        lambda: change_requisite(
            seat.trader_id, requisite_id, form.terms(), user_id=user_id, actor=seat.actor
        ),
        form=form,
        again=lambda status, refused: _one(found, form, status, said(refused)),
        done=_l("Saved."),
        back=url_for("trader.requisites"),
    )


@blueprint.post("/requisites/<uuid:requisite_id>/switches")
@requires(Permission.REQUISITE_CHANGE)
def switch_requisite(requisite_id: uuid.UUID) -> ResponseReturnValue:
    seat = current_seat()
    on = {name: request.form.get(name) == "on" for name in ("payin_on", "payout_on")}
    return carry_out(
        lambda: switch_own(seat.trader_id, requisite_id, actor=seat.actor, **on),
        done=_l("Switched."),
        back=url_for("trader.requisites"),
    )


@blueprint.post("/requisites/<uuid:requisite_id>/archive")
@requires(Permission.REQUISITE_CHANGE)
def archive(requisite_id: uuid.UUID) -> ResponseReturnValue:
    seat = current_seat()
    return carry_out(
        lambda: archive_requisite(seat.trader_id, requisite_id, actor=seat.actor),
        again=lambda status, refused: _list(status, said(refused)),
        done=_l("The requisite is in the archive."),
        back=url_for("trader.requisites"),
    )


def _kinds() -> list[tuple[str, str]]:
    """Every method in every currency that orders can be in."""
    return [
        (f"{method.code}.{currency.code}", f"{method_name(method.code)}, {currency.code}")
        for currency in list_currencies()
        for method in list_methods(currency.code)
    ]


def _chosen() -> tuple[str, str] | None:
    """Method and currency of the address, if there is such a pair."""
    method, _dot, currency = request.args.get("kind", "").partition(".")
    return (method, currency) if method_terms(method, currency) is not None else None


def _today() -> datetime:
    return datetime.now(UTC).astimezone(ZoneInfo(config.get(config.DAY_TIMEZONE)))


def _list(status: int = 200, problem: str = "") -> Response:
    today = _today()
    found = list_requisites(current_seat().trader_id)
    page = render_template(
        "trader/requisites/list.html", lines=[(line, list(bars_of(line, today))) for line in found],
        words=problem, is_problem=True,
    )  # fmt: skip
    return make_response(page, status)


def _new(chosen: tuple[str, str] | None, form: NewRequisiteForm | None, status: int = 200) -> Response:
    page = render_template(
        "trader/requisites/new.html", kinds=_kinds(), kind=".".join(chosen or ()), form=form,
        currency=chosen[1] if chosen else "",
    )  # fmt: skip
    return make_response(page, status)


def _one(found: Requisite, form: TermsForm, status: int = 200, problem: str = "") -> Response:
    page = render_template(
        "trader/requisites/one.html", requisite=found, form=form, currency=found.currency,
        bars=list(bars_of(found, _today())), words=problem, is_problem=True,
    )  # fmt: skip
    return make_response(page, status)
