"""An order's page: what one visitor sees of it, read in a handful of statements."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from flask import Flask, make_response, render_template
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from portal.core.actors import ActorKind
from portal.core.modes import Mode
from portal.disputes.queries import DisputeLine, list_disputes_of
from portal.identity.people.audience import names_of
from portal.merchants.queries import find_store
from portal.orders.order_detail import OrderDetail, PartsOfPage, read_order_detail
from portal.orders.order_list import Whose
from portal.orders.queries import TimelineStep
from portal.orders.record import OrderRecord
from portal.orders.representation import order_object
from portal.orders.service.claim import PayerDetails
from portal.orders.trader_view import payer_of
from portal.orders.transitions import Step
from portal.traders.queries import trader_name
from portal.web.labels.actors import actor_words
from portal.web.labels.order_steps import step_words
from portal.web.labels.reasons import reason_words
from portal.web.shared.orders.amounts import AmountLine, Share, amount_lines
from portal.web.shared.orders.words import audit_words
from portal.web.ui.formats import plain_amount, rate_text, told_amount_text
from portal.webhooks.queries import DeliveryOfOrder, list_deliveries_of_order

_PEOPLE = frozenset({ActorKind.ADMIN, ActorKind.SUPPORT, ActorKind.LEAD})
_TRADERS_SIDE = frozenset({ActorKind.TRADER, ActorKind.LEAD})


@dataclass(frozen=True, slots=True)
class Eyes:
    """What one visitor may see, in which portal. The requisite's full number is in nobody's view of this page."""

    portal: str
    whose: Whose
    shares: frozenset[Share]
    sees_shop: bool = False  # the store, its own numbers, its customer
    sees_trader: bool = False
    sees_people: bool = False  # who of the staff did something
    sees_search: bool = False  # how it was matched, and what risk decided
    sees_webhooks: bool = False
    sees_entries: bool = False
    sees_audit: bool = False

    @property
    def parts(self) -> PartsOfPage:
        return PartsOfPage(
            entries=self.sees_entries, audit=self.sees_audit, risk=self.sees_search, past=self.sees_search
        )


class TimelineLine(NamedTuple):
    """What the macro of timelines takes."""

    at: datetime
    title: str
    colour: str
    more: str | None


@dataclass(frozen=True, slots=True)
class OrderPage:
    """All that the templates of an order draw."""

    eyes: Eyes
    detail: OrderDetail
    disputes: Sequence[DisputeLine]
    deliveries: Sequence[DeliveryOfOrder]
    payer: PayerDetails | None
    names: Mapping[uuid.UUID, str]

    @property
    def order(self) -> OrderRecord:
        return self.detail.order

    @property
    def amounts(self) -> list[AmountLine]:
        return amount_lines(self.order, self.eyes.shares)

    @property
    def rate(self) -> str:
        return rate_text(self.order.rate_micros)

    @property
    def receipt_endpoint(self) -> str:
        """The route that serves the files of this portal's orders."""
        return f"{self.eyes.portal}.{'receipt' if self.eyes.portal == 'trader' else 'order_receipt'}"

    @property
    def store_name(self) -> str | None:
        store = find_store(self.order.store_id) if self.eyes.sees_shop or self.eyes.sees_trader else None
        return store.name if store else None

    @property
    def trader_name(self) -> str | None:
        return trader_name(self.order.trader_id) if self.eyes.sees_trader and self.order.trader_id else None

    @property
    def timeline(self) -> list[TimelineLine]:
        return [
            TimelineLine(step.at, *step_words(step.event), self._more(step)) for step in self.detail.steps
        ]

    def _more(self, step: TimelineStep) -> str:
        why = reason_words(step.reason, with_typed=self.tells(step.actor_kind, step.actor_id))
        if step.event == Step.AMOUNT_REPORTED and step.reason:
            why = told_amount_text(step.reason)
        return ": ".join(part for part in (self.who(step.actor_kind, step.actor_id), why) if part)

    def whose_amount(self, case: DisputeLine) -> str:
        """Whose word a case's amount is. One that the receiver reported is not the word of who disagreed with it."""
        said = f"{plain_amount(case.claimed_minor or 0, self.order.currency)} {self.order.currency}"
        if any(step.event == Step.AMOUNT_REPORTED and step.reason == said for step in self.detail.steps):
            return _("Came, as the receiver reported")
        if self.order.is_payin and case.opened_by_kind == ActorKind.CUSTOMER:
            return _("Sent, as the customer says")
        if self.order.is_payin and case.opened_by_kind == ActorKind.TRADER:
            return _("Came, as the trader says")
        return _("Amount named")

    def tells(self, kind: str, actor_id: uuid.UUID | None) -> bool:
        """Whether what such an actor typed may be read: what the trader's side says is not for the shop, nor
        for traders and leads that it is not of.
        """
        mine = self.eyes.whose.traders
        if kind == ActorKind.TRADER and mine is not None:
            return actor_id in mine
        return self.eyes.sees_trader or not self.eyes.sees_shop or kind not in _TRADERS_SIDE

    def who(self, kind: str, actor_id: uuid.UUID | None) -> str:
        """Who did it: by name where the visitor may know it, else what they are."""
        name = self.names.get(actor_id) if actor_id else None
        if kind == ActorKind.TRADER and self.eyes.sees_trader and actor_id and self.tells(kind, actor_id):
            name = trader_name(actor_id)
        return f"{actor_words(kind)} {name}" if name else actor_words(kind)


def read_page(order_id: uuid.UUID, eyes: Eyes) -> OrderPage:
    """Raises NotFound for an order that is not among those the visitor may see."""
    detail = read_order_detail(order_id, eyes.whose, eyes.parts)
    order, steps = detail.order, detail.steps
    had_dispute = any(step.event == Step.DISPUTED for step in steps)
    deliveries: Sequence[DeliveryOfOrder] = ()
    if eyes.sees_webhooks:
        moments = [step.at for step in steps]
        deliveries = list_deliveries_of_order(order.id, order.store_id, Mode(order.mode), moments)
    disputes = list_disputes_of(order.id) if had_dispute else []
    return OrderPage(
        eyes, detail, disputes, deliveries, payer_of(order), _names(detail, disputes) if eyes.sees_people else {}
    )  # fmt: skip


def _names(detail: OrderDetail, disputes: Sequence[DisputeLine]) -> Mapping[uuid.UUID, str]:
    done = [(step.actor_kind, step.actor_id) for step in detail.steps]
    done += [(entry.actor_kind, entry.actor_id) for entry in detail.audit]
    done += [(case.decided_by_kind or "", case.decided_by_id) for case in disputes]
    people = {actor_id for kind, actor_id in done if actor_id and kind in _PEOPLE}
    return names_of(people) if people else {}


def answer(page: OrderPage, status: int = 200, **variables: Any) -> Response:
    """The page itself."""
    return make_response(
        render_template("orders/order.html", page=page, order=page.order, **variables), status
    )


def raw_of(order: OrderRecord) -> str:
    """The object that the shop's program gets, for who may hold its keys."""
    return json.dumps(order_object(order), ensure_ascii=False, indent=2, default=str)


def _host(url: str) -> str:
    """Where a webhook goes, without the path, which may be a secret."""
    return urlsplit(url).hostname or ""


def register(app: Flask) -> None:
    app.jinja_env.filters.update(order_audit=audit_words, webhook_host=_host)
