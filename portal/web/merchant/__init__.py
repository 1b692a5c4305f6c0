"""The merchant's portal: the stores that its person works in, and nobody else's."""

from __future__ import annotations

from flask import Blueprint

from portal.core.permissions import Permission
from portal.web.shell.guards import let_in

blueprint = Blueprint("merchant", __name__, url_prefix="/merchant")


@blueprint.before_request
def guard() -> None:
    """Only whom the portal's home is open to. Raises NotSignedIn, MissingPermission."""
    let_in(Permission.MERCHANT_HOME_VIEW)


from portal.web.merchant import home, orders  # noqa: E402, F401 - routes
