"""The id by which one request is found again in the logs; every answer carries it."""

from __future__ import annotations

import re

from flask import g, request

from portal.core.ids import new_id

HEADER = "X-Request-Id"
_SAFE = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)


def request_id() -> str:
    """The client's own id when it is 8 to 64 safe characters, else a new one; stable within a request."""
    known: str | None = g.get("request_id")
    if known is None:
        offered = request.headers.get(HEADER, "")
        known = offered if _SAFE.fullmatch(offered) else new_id().hex
        g.request_id = known
    return known
