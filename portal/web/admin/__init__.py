"""The administrators' portal: everything there is, for whoever holds the permissions."""

from __future__ import annotations

from flask import Blueprint

from portal.core.permissions import Permission
from portal.web.guards import let_in

blueprint = Blueprint("admin", __name__, url_prefix="/admin")


@blueprint.before_request
def guard() -> None:
    """Only whom the portal's home is open to. Raises NotSignedIn, MissingPermission."""
    let_in(Permission.ADMIN_HOME_VIEW)


from portal.web.admin import home, orders  # noqa: E402, F401 - routes
