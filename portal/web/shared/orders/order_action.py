"""What one person may do to an order, as its side of the house declares it: staff_actions.py, merchant_actions.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from portal.core.actors import Actor, ActorKind
from portal.core.permissions import Permission
from portal.orders.record import OrderRecord
from portal.orders.transitions import Step, may_happen
from portal.web.shared.orders.forms import OrderForm
from portal.web.shared.orders.proposing import OrderProposal

_SHOP_READS = _l(
    "The shop can read it, in the order's timeline and with its programs. Kept in the audit log as well."
)


@dataclass(frozen=True, slots=True)
class OrderAction:
    """One thing that one person may do to an order as it stands, on a page of its own that asks why.

    Which orders it fits follows from `steps`, what it makes of them; it is done to the version that its reader saw, and
    once. What is done to anything but an order is an `Action` (portal/web/ui/actions.py); what nobody does alone is an
    `OrderProposal`, to which `proposal` leads. `path` is its part of the address, `readers` says who reads the reason.
    """

    path: str
    endpoint: str
    permission: Permission
    steps: frozenset[Step]
    run: Callable[[OrderRecord, Any, Actor], object]
    button: LazyString
    words: LazyString
    done: LazyString
    form: Callable[[Any, OrderRecord], OrderForm] = OrderForm
    moves_money: bool = True
    tone: str = ""
    readers: LazyString = _SHOP_READS
    proposal: OrderProposal | None = None

    def fits(self, order: OrderRecord, kind: ActorKind) -> bool:
        """Whether it is possible as the order stands."""
        return may_happen(order.direction, order.status, self.steps, kind)
