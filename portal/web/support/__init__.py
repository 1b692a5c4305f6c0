"""Support's portal: everybody's orders, as far as their permissions go."""

from __future__ import annotations

from flask import Blueprint

from portal.core.permissions import Permission
from portal.web.shell.guards import let_in

blueprint = Blueprint("support", __name__, url_prefix="/support")


@blueprint.before_request
def guard() -> None:
    """Only whom the portal's home is open to. Raises NotSignedIn, MissingPermission."""
    let_in(Permission.SUPPORT_HOME_VIEW)


from portal.web.shared.orders.staff import add_order_routes  # noqa: E402
from portal.web.support import home  # noqa: E402, F401 - routes

add_order_routes(blueprint)
