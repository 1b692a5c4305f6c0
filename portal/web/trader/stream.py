"""`/trader/stream`: "look again", as it happens. It carries no data, so there is nothing in it to leak."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Response
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal.core.db import release
from portal.core.live import give_stream_back, listen, take_stream
from portal.core.permissions import Permission, requires
from portal.notifications.service import channel_of
from portal.web.auth.visitor import background
from portal.web.trader import blueprint
from portal.web.trader.seat import current_seat


@blueprint.get("/stream")
@requires(Permission.TRADER_QUEUE_VIEW)
@background
def stream() -> ResponseReturnValue:
    """Server-sent events; 204 when this process has no place for another stream: the page polls then."""
    seat = current_seat()
    release()
    if not take_stream():
        return "", 204
    bell = channel_of(current_user.id)
    response = Response(
        _events(bell, f"trader:{seat.trader_id}", f"payouts:{seat.mode}"), mimetype="text/event-stream"
    )
    response.headers["X-Accel-Buffering"] = "no"
    # Also when the client is gone before the first event.
    response.call_on_close(give_stream_back)
    return response


def _events(bell: str, *channels: str) -> Iterator[str]:
    yield "retry: 3000\n\n"
    for number, heard in enumerate(listen((bell, *channels))):
        if heard.intersection(channels):
            yield "event: queue\ndata: changed\n\n"
        # Also at first: for what was missed before the subscription stood.
        if bell in heard or number == 0:
            yield "event: bell\ndata: changed\n\n"
        elif not heard:
            yield ": still here\n\n"
