"""The bytes of a webhook: the same for one event on every attempt and redelivery."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from portal.core.ids import public_id
from portal.orders.representation import moment

# Whoever may set an endpoint need not be who may write orders: what an event kept beyond that is not told.
_NOT_TOLD = {"payment_url": None}


def event_body(event: Mapping[str, Any]) -> bytes:
    """`{"id", "type", "timestamp", "mode", "version", "sequence", "data"}` as UTF-8 JSON.

    `event` has the columns of the outbox: event_id, type, created_at, mode, version, sequence, data. Numbers are
    masked in `data`.
    """
    data = event["data"]
    content = {
        "id": public_id("evt", event["event_id"]),
        "type": event["type"],
        "timestamp": moment(event["created_at"]),
        "mode": event["mode"],
        "version": event["version"],
        "sequence": event["sequence"],
        "data": {**data, **_NOT_TOLD} if "payment_url" in data else data,
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
