"""The trader's portal. Everything in it belongs to the signed-in trader; a stranger's order is not there."""

from __future__ import annotations

from flask import Blueprint, current_app, request

from portal.core.permissions import Permission, demand, permission_of
from portal.web.shared.orders.reasons import LONGEST_WORDS, reasons_for
from portal.web.shell.guards import let_in
from portal.web.trader.board import fingerprint
from portal.web.trader.seat import take_seat

blueprint = Blueprint("trader", __name__, url_prefix="/trader")
blueprint.add_app_template_filter(fingerprint)
blueprint.add_app_template_global(reasons_for)
blueprint.record(lambda setup: setup.app.jinja_env.globals.update(longest_words=LONGEST_WORDS))


@blueprint.before_request
def guard() -> None:
    """Only traders come in, each with what they may do. Raises NotSignedIn, MissingPermission, Forbidden."""
    let_in(Permission.TRADER_QUEUE_VIEW)
    demand(permission_of(current_app.view_functions[request.endpoint or ""]) or Permission.TRADER_QUEUE_VIEW)
    take_seat()


from portal.web.trader import orders, payins, payouts, queue, refusals, requisites  # noqa: E402, F401 - routes and handlers
