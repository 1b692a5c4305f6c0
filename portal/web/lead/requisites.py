"""`/lead/requisites`: what one's own traders receive to, which of it is ready now, and for which amounts."""

from __future__ import annotations

from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal.core.permissions import Permission, requires
from portal.traders.requisite_list import RequisiteLine
from portal.web.lead import blueprint
from portal.web.shared.requisites.lines import requisite_listing
from portal.web.ui.lists.declaration import Listing
from portal.web.ui.lists.export import export
from portal.web.ui.lists.shown import render


@blueprint.get("/requisites")
@requires(Permission.REQUISITE_VIEW)
def requisites() -> ResponseReturnValue:
    return render("requisites/list.html", _listing())


@blueprint.get("/requisites.csv")
@requires(Permission.REQUISITE_VIEW)
def export_requisites() -> ResponseReturnValue:
    return export(_listing())


def _listing() -> Listing[RequisiteLine]:
    return requisite_listing("lead", lambda _line: None, current_user.id)
