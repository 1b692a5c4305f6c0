"""Carrying out what people do to an order: the page that asks why, and the deed, once however often it is sent."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from flask import Blueprint, make_response, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from portal.core.actors import Actor
from portal.core.errors import Conflict, DomainError
from portal.core.permissions import Permission
from portal.orders.parties import refuse_own
from portal.orders.pricing import price
from portal.orders.queries import list_steps
from portal.orders.record import OrderRecord
from portal.orders.service.amounts import NeedsSecondPerson, takes_two
from portal.web.shared.orders.forms import OrderForm
from portal.web.shared.orders.order_action import OrderAction
from portal.web.shared.orders.staff_actions import STAFF_ACTIONS
from portal.web.shared.orders.staff_scope import is_everybodys, staff_order
from portal.web.shell.acting import acting_person
from portal.web.shell.guards import needs_proof
from portal.web.ui.actions import carry_out, guarded, said

# A deed and what follows from it at once: taking an order off a trader is followed by the next match.
_LATEST = 3


class Load(Protocol):
    """An order that the visitor may use this permission on; NotFound for any other."""

    def __call__(self, order_id: uuid.UUID, permission: Permission, *, lock: bool = False) -> OrderRecord: ...


@dataclass(frozen=True, slots=True)
class Desk:
    """What one side of the house may do: whose orders it is about, and as whom the visitor acts."""

    actions: Sequence[OrderAction]
    load: Load
    may: Callable[[OrderRecord, Permission], bool]
    actor: Callable[[], Actor]


STAFF = Desk(STAFF_ACTIONS, staff_order, lambda _order, permission: is_everybodys(permission), acting_person)


def actions_for(order: OrderRecord, desk: Desk = STAFF) -> list[OrderAction]:
    """What this visitor may do to the order as it stands."""
    kind = desk.actor().kind
    return [
        action for action in desk.actions if desk.may(order, action.permission) and action.fits(order, kind)
    ]


def add_actions(blueprint: Blueprint, desk: Desk = STAFF) -> None:
    """Each action gets a page with its form, and the address that the form is sent to."""
    for action in desk.actions:
        path = f"/orders/<order_id:order_id>/{action.path}"
        proof = needs_proof if action.moves_money else None
        asking, doing = (guarded(make(action, desk), action.permission, proof) for make in (_asking, _doing))
        blueprint.add_url_rule(path, action.endpoint, asking)
        blueprint.add_url_rule(path, f"{action.endpoint}_done", doing, methods=["POST"])


def _asking(action: OrderAction, desk: Desk) -> Callable[[uuid.UUID], Response]:
    def ask(order_id: uuid.UUID) -> Response:
        order = _loaded(action, desk, order_id)
        if not action.fits(order, desk.actor().kind):
            raise Conflict(_("This is not possible as the order stands."))
        return _page(action, action.form(None, order))

    return ask


def _doing(action: OrderAction, desk: Desk) -> Callable[[uuid.UUID], Response]:
    def do(order_id: uuid.UUID) -> Response:
        form = action.form(request.form, _loaded(action, desk, order_id))
        if not form.validate():
            return _page(action, form, 422)
        if _takes_two(action, form):
            return _refused(action, form, NeedsSecondPerson.status, NeedsSecondPerson())
        if form.to_be_agreed_minor is not None:
            return _page(action, form)
        actor = desk.actor()
        return carry_out(
            lambda: _run(action, desk, order_id, form, actor),
            again=partial(_refused, action, form),
            done=action.done,
            back=url_for(f"{request.blueprint}.order", order_id=order_id),
        )

    return do


def _loaded(action: OrderAction, desk: Desk, order_id: uuid.UUID) -> OrderRecord:
    """Raises NotFound, and OwnOrder before anything is asked that could not be done."""
    order = desk.load(order_id, action.permission)
    refuse_own(order, desk.actor())
    return order


def _takes_two(action: OrderAction, form: OrderForm) -> bool:
    """Whether more came than one person completes alone: no need to ask whether they mean it."""
    received = form.to_be_agreed_minor if action.proposal and form.order.is_payin else None
    return received is not None and takes_two(form.order, received)


def _refused(action: OrderAction, form: OrderForm, status: int, error: DomainError | None) -> Response:
    """What nobody does alone comes with the way to a second person."""
    proposal = ""
    if action.proposal and error is not None and error.code == NeedsSecondPerson.code:
        proposal = f"{request.blueprint}.{action.proposal.endpoint}_sent"
    return _page(action, form, status, words=said(error), is_problem=True, proposal=proposal)


def _run(action: OrderAction, desk: Desk, order_id: uuid.UUID, form: OrderForm, actor: Actor) -> None:
    """Raises Conflict when the order is not as the form's reader saw it, unless they did just this to it."""
    order = desk.load(order_id, action.permission, lock=True)
    if str(order.version) == form.version.data:
        form.order = order
        action.run(order, form, actor)
        return
    latest = list_steps(order.id)[-_LATEST:]
    if not any(step.event in action.steps and step.actor_id == actor.id for step in latest):
        raise Conflict("The order has changed.", code="order_changed")


def _page(action: OrderAction, form: OrderForm, status: int = 200, **variables: Any) -> Response:
    agreed, split = form.to_be_agreed_minor if status == 200 and form.errors == {} else None, None
    if agreed is not None:
        split = price(form.order, agreed)
        form["agreed_minor"].data = str(agreed)
    page = render_template(
        "orders/action.html", action=action, form=form, order=form.order, portal=request.blueprint, agreed_minor=agreed,
        split=split, **variables,
    )  # fmt: skip
    return make_response(page, status)
