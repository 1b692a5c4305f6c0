"""The bytes of a webhook: the same for one event on every attempt and redelivery."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from portal.core.ids import public_id
from portal.orders.representation import SHOWS_NUMBER, moment
from portal.traders.queries import requisite_number


def event_body(event: Mapping[str, Any]) -> bytes:
    """`{"id", "type", "timestamp", "mode", "data"}` as UTF-8 JSON.

    `event` has the columns of the outbox: event_id, type, created_at, mode, data, requisite_id. The
    requisite's full number, which the outbox does not keep, is filled in here where the API shows it.
    """
    content = {
        "id": public_id("evt", event["event_id"]),
        "type": event["type"],
        "timestamp": moment(event["created_at"]),
        "mode": event["mode"],
        "data": _with_number(event["data"], event["requisite_id"]),
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _with_number(data: Mapping[str, Any], requisite_id: uuid.UUID | None) -> Mapping[str, Any]:
    requisite = data.get("requisite")
    if requisite_id is None or not isinstance(requisite, Mapping) or data.get("status") not in SHOWS_NUMBER:
        return data
    return {**data, "requisite": {**requisite, "number": requisite_number(requisite_id)}}
