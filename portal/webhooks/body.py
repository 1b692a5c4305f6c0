"""The bytes of a webhook: the same for one event on every attempt and redelivery."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from portal.core.ids import public_id
from portal.traders.queries import requisite_number


def event_body(event: Mapping[str, Any]) -> bytes:
    """`{"id", "type", "timestamp", "mode", "data"}` as UTF-8 JSON.

    `event` has the columns of the outbox: event_id, type, created_at, mode, data, requisite_id. The
    requisite's full number, which the outbox does not keep, is filled in here.
    """
    happened_at: datetime = event["created_at"]
    content = {
        "id": public_id("evt", event["event_id"]),
        "type": event["type"],
        "timestamp": happened_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "mode": event["mode"],
        "data": _with_number(event["data"], event["requisite_id"]),
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _with_number(data: Mapping[str, Any], requisite_id: uuid.UUID | None) -> Mapping[str, Any]:
    requisite = data.get("requisite")
    if requisite_id is None or not isinstance(requisite, Mapping):
        return data
    return {**data, "requisite": {**requisite, "number": requisite_number(requisite_id)}}
