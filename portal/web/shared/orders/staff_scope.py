"""How far staff reach: a page about everybody's orders is for who holds its permission for everybody."""

from __future__ import annotations

import uuid

from flask_login import current_user

from portal.core.errors import NotFound
from portal.core.permissions import Permission, Reach
from portal.orders.order_list import Whose
from portal.orders.queries import get_order
from portal.orders.record import OrderRecord


def is_everybodys(permission: Permission) -> bool:
    """Whether the visitor holds it for everybody's things."""
    return current_user.can(permission) and current_user.reach(permission) is Reach.ALL


def whose_orders() -> Whose:
    """Everybody's, or nobody's. Raises MissingPermission."""
    return Whose() if current_user.reach(Permission.ORDER_VIEW) is Reach.ALL else Whose(stores=())


def staff_order(
    order_id: uuid.UUID, permission: Permission = Permission.ORDER_VIEW, *, lock: bool = False
) -> OrderRecord:
    """Any order, for who holds the permission, and may see orders, for everybody's. Raises NotFound."""
    if not (is_everybodys(permission) and is_everybodys(Permission.ORDER_VIEW)):
        raise NotFound("There is no such order.")
    return get_order(order_id, lock=lock)
