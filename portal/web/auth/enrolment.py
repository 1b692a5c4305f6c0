"""Staff and traders need a second factor: once the grace is over nothing is open to them but adding one."""

from __future__ import annotations

from flask import current_app, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from portal.core.errors import Forbidden
from portal.core.permissions import current_visitor, permission_of
from portal.web.shell.flashes import flash
from portal.web.shell.htmx import see_other

# Where one adds a factor, proves who one is, and leaves.
_OPEN = frozenset({"auth", "security"})


class SecondFactorWanted(Forbidden):
    code, title = "second_factor_wanted", "Add a second factor first"


def want_second_factor() -> Response | None:
    """Before every route that needs a permission. Raises SecondFactorWanted (403) for streams and programs."""
    view = current_app.view_functions.get(request.endpoint or "")
    if view is None or permission_of(view) is None or request.blueprint in _OPEN:
        return None
    visitor = current_visitor()
    if not visitor.is_authenticated or not visitor.must_enrol:
        return None
    if "text/event-stream" in request.accept_mimetypes.values():
        raise SecondFactorWanted(_("Your work needs a second factor. Add one first."))
    flash(_("Your work needs a second factor. Add one first."))
    return see_other(url_for("security.overview"))
