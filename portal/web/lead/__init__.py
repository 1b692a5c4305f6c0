"""The team lead's portal: their own traders and those traders' orders."""

from __future__ import annotations

from flask import Blueprint

from portal.core.permissions import Permission
from portal.web.shell.guards import let_in

blueprint = Blueprint("lead", __name__, url_prefix="/lead")


@blueprint.before_request
def guard() -> None:
    """Only whom the portal's home is open to. Raises NotSignedIn, MissingPermission."""
    let_in(Permission.LEAD_HOME_VIEW)


from portal.web.lead import home, orders, requisites  # noqa: E402, F401 - routes
