"""Where letters and notifications send people: pages of this house, as paths.

The domain knows no route; tests/conventions/test_routes.py finds each of these in the map of addresses.
"""

from __future__ import annotations

import uuid

from portal.core.ids import public_id

HOME = "/"  # where the work of whoever reads it begins
ADMIN_HOME = "/admin"
ERRORS = "/admin/errors"
SECURITY = "/account/security"


def invitation_page(token: str) -> str:
    return f"/invitation/{token}"


def password_reset_page(token: str) -> str:
    return f"/password-reset/{token}"


def approval_page(request_id: uuid.UUID) -> str:
    return f"/admin/approvals/{request_id}"


def merchant_page(merchant_id: uuid.UUID) -> str:
    return f"/admin/merchants/{merchant_id}"


def trader_page(trader_id: uuid.UUID) -> str:
    return f"/admin/traders/{trader_id}"


def order_page(portal: str, order_id: uuid.UUID) -> str:
    """The order in the portal of whoever is told."""
    return f"/{portal}/orders/{public_id('ord', order_id)}"
