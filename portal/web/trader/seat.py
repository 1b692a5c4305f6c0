"""Which trader the request works for."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import cast

from flask import g

from portal.core.actors import Actor, ActorKind
from portal.web.origin import current_origin


@dataclass(frozen=True, slots=True)
class Seat:
    trader_id: uuid.UUID
    name: str
    mode: str

    @property
    def actor(self) -> Actor:
        return Actor(ActorKind.TRADER, self.trader_id, origin=current_origin())


def current_seat() -> Seat:
    """The trader that the blueprint's guard has let in."""
    return cast("Seat", g.seat)
