"""The administrators' portal: everything there is, for whoever holds the permissions: administrators, and support
as far as its own go."""

from __future__ import annotations

from flask import Blueprint, current_app, request
from flask_login import current_user

from portal.core.permissions import MissingPermission, Permission, Reach, permission_of
from portal.web.shell.guards import let_in

blueprint = Blueprint("admin", __name__, url_prefix="/admin")


@blueprint.before_request
def guard() -> None:
    """Only what people may do to everybody: the pages here are about everybody. Whoever may open none of their own
    is told that the portal is not theirs. Raises NotSignedIn, MissingPermission.
    """
    needed = permission_of(current_app.view_functions[request.endpoint or ""])
    if needed is not None and current_user.is_authenticated and current_user.reach(needed) is Reach.ALL:
        return
    let_in(Permission.ADMIN_HOME_VIEW)
    if needed is not None:
        raise MissingPermission(needed)


from portal.web.admin import approvals, errors, home, merchant, queues, requisites  # noqa: E402 - routes
from portal.web.admin.audit import log  # noqa: E402
from portal.web.admin.people import access, directory, invitations, person  # noqa: E402
from portal.web.admin.teams import team  # noqa: E402
from portal.web.admin.traders import trader  # noqa: E402
from portal.web.labels.audit_actions import action_words  # noqa: E402
from portal.web.shared.orders.staff import add_order_routes  # noqa: E402

__all__ = [
    "access",
    "approvals",
    "blueprint",
    "directory",
    "errors",
    "home",
    "invitations",
    "log",
    "merchant",
    "person",
    "queues",
    "requisites",
    "team",
    "trader",
]

blueprint.add_app_template_filter(action_words)
add_order_routes(blueprint)
