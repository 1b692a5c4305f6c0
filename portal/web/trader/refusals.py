"""What the queue says when the domain refuses: in words, beside the board as it is now."""

from __future__ import annotations

from flask import request
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from portal.core.errors import Conflict, InvalidTransition, NotFound, TooManyRequests, Unavailable
from portal.orders.models import Status
from portal.web.labels.order_status import TO_A_LATE_TRADER
from portal.web.labels.refusals import words_of_error
from portal.web.trader import blueprint
from portal.web.trader.answers import undone
from portal.web.ui.error_pages import from_refusal


@blueprint.errorhandler(Conflict)
def has_moved_on(error: Conflict) -> Response:
    """409 with what happened meanwhile. A read that is refused (there is none today) is an ordinary page."""
    if request.method == "GET":
        return from_refusal(error)
    status = error.extra.get("order_status")
    if isinstance(error, InvalidTransition) and status:
        what = TO_A_LATE_TRADER[Status(status)]
        return undone(_("Nothing was changed: %(what)s.", what=what), error.status)
    return undone(words_of_error(error), error.status)


@blueprint.errorhandler(NotFound)
def is_not_there(error: NotFound) -> Response:
    if request.method == "GET":
        return from_refusal(error)
    return undone(_("There is no such order in your queue."), error.status)


@blueprint.errorhandler(Unavailable)
@blueprint.errorhandler(TooManyRequests)
def try_again(error: Unavailable | TooManyRequests) -> Response:
    return from_refusal(error)
