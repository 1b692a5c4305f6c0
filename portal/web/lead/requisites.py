"""`/lead/requisites`: what one's own traders receive to, which of it is ready now, and for which amounts."""

from __future__ import annotations

from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal.core.permissions import Permission, requires
from portal.web.lead import blueprint
from portal.web.listing import render
from portal.web.requisites.lines import requisite_listing


@blueprint.get("/requisites")
@requires(Permission.REQUISITE_VIEW)
def requisites() -> ResponseReturnValue:
    listing = requisite_listing("lead.requisites", lambda _line: None, current_user.id)
    return render("requisites/list.html", listing)
