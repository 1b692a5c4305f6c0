"""`/streams/...`: who may listen to what. No stream is held here, so that none takes a request's thread.

The streams' process (portal.workers.streams) asks these routes with the cookie that a page sent it, when a stream
begins and again and again while it is open: whoever is refused here hears nothing more there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flask import Blueprint, jsonify, redirect, request
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal.core.permissions import Permission, requires
from portal.notifications.service import channel_of
from portal.web.shell.security import streams_origin
from portal.web.shell.visitor import background
from portal.web.trader.seat import take_seat

blueprint = Blueprint("streams", __name__, url_prefix="/streams")


@blueprint.get("/bell")
@requires(Permission.ACCOUNT_VIEW)
@background
def bell() -> ResponseReturnValue:
    return _answer({"bell": [channel_of(current_user.id)]})


@blueprint.get("/trader")
@requires(Permission.TRADER_QUEUE_VIEW)
@background
def trader() -> ResponseReturnValue:
    seat = take_seat()
    mine = [f"trader:{seat.trader_id}", f"payouts:{seat.mode}"]
    return _answer({"queue": mine, "bell": [channel_of(current_user.id)]})


def _answer(events: Mapping[str, Sequence[str]]) -> ResponseReturnValue:
    """To the streams' process: the channels behind each event of the page. To a page: where that process is, or
    204 when nothing leads there, and the page polls.
    """
    if "application/json" in request.accept_mimetypes.values():
        return jsonify(person=str(current_user.id), events=events)
    origin = streams_origin()
    if origin is None:
        return "", 204
    return redirect(f"{origin}{request.path}", 307)
