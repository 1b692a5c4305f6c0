"""Proposing to complete a payin with more than its amount: seen first, then proposed, then decided by somebody else."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import Blueprint, make_response, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString
from werkzeug.wrappers import Response
from wtforms import HiddenField, ValidationError

from portal.approvals.kinds import Kind, Preview, Subject
from portal.approvals.models import ApprovalRequest
from portal.approvals.queries import find_waiting
from portal.approvals.service import propose
from portal.core.actors import Actor
from portal.core.errors import Conflict, DomainError
from portal.core.permissions import Permission, requires
from portal.disputes.above_tolerance import DISPUTE_COMPLETION
from portal.orders.above_tolerance import COMPLETION, CompletionPayload
from portal.orders.parties import refuse_own
from portal.orders.record import OrderRecord
from portal.orders.service.amounts import most_alone_minor, takes_two
from portal.web.shared.approvals.asking import approval_life, asked
from portal.web.shared.approvals.words import words_of_kind
from portal.web.shared.orders.forms import OrderForm
from portal.web.shared.orders.staff_scope import is_everybodys, staff_order
from portal.web.shell.acting import acting_person
from portal.web.shell.guards import needs_proof
from portal.web.ui.actions import carry_out_and_answer, said
from portal.web.ui.formats import amount_text
from portal.web.ui.money_field import MoneyField


@dataclass(frozen=True, slots=True)
class OrderProposal:
    """One thing about an order that takes two people: seen with its figures, then proposed, and done by who approves it.

    Who may propose it, and what it does, is said by its `kind`. What one person does alone is an `OrderAction`
    (staff_actions.py), which leads here where more came than one may complete.
    """

    path: str
    endpoint: str
    kind: Kind[Any]
    title: LazyString

    @property
    def permission(self) -> Permission:
        """Who may propose it; the same people complete alone what is less."""
        return self.kind.may_propose


TO_COMPLETE = OrderProposal(
    "completion-request", "propose_completion", COMPLETION,
    _l("Propose to complete it with more than its amount"),
)  # fmt: skip
TO_DECIDE = OrderProposal(
    "decision-request", "propose_decision", DISPUTE_COMPLETION,
    _l("Propose to decide the dispute with more than the order's amount"),
)  # fmt: skip
PROPOSALS = (TO_COMPLETE, TO_DECIDE)


class ProposalForm(OrderForm):
    """How much came, and why. `seen` names what the preview was of: nothing is proposed that was not seen."""

    amount = MoneyField(_l("Amount that was received"))
    seen = HiddenField()

    def validate_amount(self, field: MoneyField) -> None:
        if field.minor is None:
            raise ValidationError(_("Give the amount that was received."))
        if not takes_two(self.order, field.minor):
            most = f"{amount_text(most_alone_minor(self.order), self.currency)} {self.currency}"
            raise ValidationError(_("Up to %(amount)s one person completes it alone.", amount=most))

    @property
    def payload(self) -> CompletionPayload:
        """Call it after validate()."""
        assert self.amount.minor is not None
        return CompletionPayload(order_id=self.order.id, received_minor=self.amount.minor)

    @property
    def mark(self) -> str:
        return f"{self.order.version}-{self.amount.minor}"


def waiting_about(order: OrderRecord) -> ApprovalRequest | None:
    """What waits for a second person about this order, for who may see it."""
    if not order.is_payin or order.is_final or not is_everybodys(Permission.APPROVAL_VIEW):
        return None
    kinds = [one.kind for one in PROPOSALS]
    seen = [k.name for k in kinds if is_everybodys(k.may_propose) or is_everybodys(k.may_decide)]
    return find_waiting(seen, Subject("order", str(order.id))) if seen else None


def add_proposals(blueprint: Blueprint) -> None:
    """Each gets its page, and the address that its form is sent to."""
    for proposal in PROPOSALS:
        path = f"/orders/<order_id:order_id>/{proposal.path}"
        for view, name, method in ((_asking, "", "GET"), (_proposing, "_sent", "POST")):
            guarded = requires(proposal.permission)(needs_proof(view(proposal)))
            blueprint.add_url_rule(path, f"{proposal.endpoint}{name}", guarded, methods=[method])


def _asking(proposal: OrderProposal) -> Callable[[uuid.UUID], Response]:
    def ask(order_id: uuid.UUID) -> Response:
        order = staff_order(order_id, proposal.permission)
        _refuse_unless_possible(proposal, order)
        return _page(proposal, ProposalForm(None, order))

    return ask


def _proposing(proposal: OrderProposal) -> Callable[[uuid.UUID], Response]:
    def send(order_id: uuid.UUID) -> Response:
        order = staff_order(order_id, proposal.permission)
        _refuse_unless_possible(proposal, order)
        form = ProposalForm(request.form, order)
        if not form.validate():
            return _page(proposal, form, 422)
        if form.seen.data != form.mark:
            return _page(proposal, form)
        actor, life = acting_person(), approval_life()
        return carry_out_and_answer(
            lambda: _propose(proposal, form, actor, life),
            lambda made: asked(made.id, _order_url(order)),
            again=lambda status, refused: _page(proposal, form, status, words=said(refused), is_problem=True),
        )

    return send


def _refuse_unless_possible(proposal: OrderProposal, order: OrderRecord) -> None:
    """Whether the order can be completed at all, whatever came. Raises Conflict, OwnOrder."""
    refuse_own(order, acting_person())
    try:
        payload = CompletionPayload(order_id=order.id, received_minor=order.amount_minor)
        proposal.kind.check(payload, acting_person())
    except DomainError:
        raise Conflict(_("This is not possible as the order stands.")) from None


def _propose(proposal: OrderProposal, form: ProposalForm, actor: Actor, life: timedelta) -> ApprovalRequest:
    """Raises Conflict when the order is not as the form's reader saw it."""
    now = staff_order(form.order.id, proposal.permission, lock=True)
    if now.version != form.order.version:
        raise Conflict("The order has changed.", code="order_changed")
    return propose(proposal.kind, form.payload, form.words, actor=actor, life=life)


def _waiting(proposal: OrderProposal, order: OrderRecord) -> ApprovalRequest | None:
    return find_waiting([proposal.kind.name], Subject("order", str(order.id)))


def _order_url(order: OrderRecord) -> str:
    return url_for(f"{request.blueprint}.order", order_id=order.id)


def _page(proposal: OrderProposal, form: ProposalForm, status: int = 200, **variables: Any) -> Response:
    """With what would change, once there is an amount that can be proposed."""
    preview: Preview | None = None
    if status == 200 and form.amount.minor is not None:
        preview = proposal.kind.preview(form.payload)
        form.seen.data = form.mark
    words = words_of_kind(proposal.kind.name)
    page = render_template(
        "orders/proposal.html", proposal=proposal, form=form, order=form.order, portal=request.blueprint,
        preview=preview, kind_words=words, waiting=_waiting(proposal, form.order),
        sentence=words.sentence(form.payload, preview) if preview else "", **variables,
    )  # fmt: skip
    return make_response(page, status)
