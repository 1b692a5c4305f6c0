"""What the queue says when the domain refuses: in words, beside the board as it is now."""

from __future__ import annotations

from flask import request
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from portal.core.errors import Conflict, InvalidTransition, NotFound, TooManyRequests, Unavailable
from portal.orders.models import Status
from portal.web.labels.refusals import words_of_error
from portal.web.shell.errors import from_refusal
from portal.web.trader import blueprint
from portal.web.trader.answers import undone


def _state_words(status: str) -> str:
    known = {
        Status.COMPLETED: _("it is completed"),
        Status.EXPIRED: _("its time is up"),
        Status.CANCELLED: _("it was cancelled"),
        Status.FAILED: _("it has failed"),
        Status.DISPUTED: _("it is in dispute"),
        Status.MATCHING: _("it has gone to others"),
        Status.AWAITING_PAYOUT: _("somebody else was faster"),
        Status.AWAITING_CONFIRMATION: _("it waits for confirmation"),
        Status.AWAITING_PAYMENT: _("it waits for the payment"),
    }
    return known.get(Status(status), status)


@blueprint.errorhandler(Conflict)
def has_moved_on(error: Conflict) -> Response:
    """409 with what happened meanwhile. A read that is refused (there is none today) is an ordinary page."""
    if request.method == "GET":
        return from_refusal(error)
    status = error.extra.get("order_status")
    if isinstance(error, InvalidTransition) and status:
        return undone(_("Nothing was changed: %(what)s.", what=_state_words(status)), error.status)
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
