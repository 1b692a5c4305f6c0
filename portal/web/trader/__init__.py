"""The trader's portal. Everything in it belongs to the signed-in trader; a stranger's order is not there."""

from __future__ import annotations

from flask import Blueprint, g
from flask_login import current_user

from portal.core.errors import Forbidden
from portal.core.permissions import NotSignedIn
from portal.traders.queries import find_trader_of_user
from portal.web.trader.board import fingerprint
from portal.web.trader.reasons import reasons_for
from portal.web.trader.seat import Seat

blueprint = Blueprint("trader", __name__, url_prefix="/trader")
blueprint.add_app_template_filter(fingerprint)
blueprint.add_app_template_global(reasons_for)


@blueprint.before_request
def guard() -> None:
    """Only traders come in. Raises NotSignedIn, Forbidden."""
    if not current_user.is_authenticated:
        raise NotSignedIn
    trader = find_trader_of_user(current_user.id)
    if trader is None:
        raise Forbidden("This page is for traders.")
    g.seat = Seat(trader.id, trader.name, trader.mode)


from portal.web.trader import payins, payouts, queue, refusals, stream  # noqa: E402, F401 - routes and handlers
