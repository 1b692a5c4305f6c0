"""What every page does that proposes something: for how long it waits, and where its proposer goes on."""

from __future__ import annotations

import uuid
from datetime import timedelta

from flask import url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from portal.core.permissions import Permission
from portal.reference import configuration as config
from portal.web.shared.orders.staff_scope import is_everybodys
from portal.web.shell.flashes import flash
from portal.web.shell.htmx import see_other


def approval_life() -> timedelta:
    return timedelta(hours=config.get(config.APPROVAL_LIFE_H))


def asked(request_id: uuid.UUID, otherwise: str) -> Response:
    """To the request, for who may see it; else to `otherwise`."""
    flash(_("Asked for. It holds once another person has approved it."))
    may_see = is_everybodys(Permission.APPROVAL_VIEW)
    return see_other(url_for("admin.approval", request_id=request_id) if may_see else otherwise)
