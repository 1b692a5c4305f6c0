"""What a webhook brings."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from portal.api.v1.orders_answers import OrderOut
from portal.api.validation import Answer
from portal.webhooks.event_types import EVENT_TYPES

_TYPES: dict[str, Any] = {"enum": sorted(EVENT_TYPES)}


class EndpointTested(Answer):
    """Of `endpoint.test`: the endpoint that was tried."""

    id: str
    """The id of the endpoint."""
    object: Literal["webhook_endpoint"]
    """What this is."""
    url: str
    """Where it is."""


class EventOut(Answer):
    """One message. Take over `data` when its (`version`, `sequence`) is higher than any you have seen of the object."""

    id: str = Field(description="The same on every attempt, as in the header `webhook-id`.")
    type: Annotated[str, Field(json_schema_extra=_TYPES)]
    """What happened."""
    timestamp: datetime
    """When it happened."""
    mode: Literal["live", "test"]
    """Whether it happened with money or in play."""
    version: int = Field(description="Of the object, after the change; each change raises it.")
    sequence: int = Field(description="Which event of that change this is: 0, 1, ...")
    data: OrderOut | EndpointTested = Field(description="The object as that version left it.")
