"""Where the list of a page goes on that is no `Listing`: after the line whose id its address names."""

from __future__ import annotations

import uuid

from flask import request

from portal.core.cursors import BadCursor, read_id
from portal.core.ids import parse_public_id


def id_after(prefix: str = "") -> uuid.UUID | None:
    """The id in `after` (with a prefix: as people see it); None, which is the first page, for whatever is no id.

    `before` is what these addresses called it once.
    """
    text = request.args.get("after") or request.args.get("before", "")
    if prefix:
        return parse_public_id(prefix, text)
    try:
        return read_id(text)
    except BadCursor:
        return None
