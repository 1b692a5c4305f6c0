"""Which trader the request works for."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import cast

from flask import g
from flask_login import current_user

from portal.core.actors import Actor, ActorKind
from portal.core.errors import Forbidden
from portal.traders.queries import find_own_trader
from portal.web.shell.origin import current_origin


@dataclass(frozen=True, slots=True)
class Seat:
    trader_id: uuid.UUID
    name: str
    mode: str

    @property
    def actor(self) -> Actor:
        return Actor(ActorKind.TRADER, self.trader_id, origin=current_origin())


def take_seat() -> Seat:
    """The trader who the signed-in person is, for the rest of the request. Raises Forbidden when they are none."""
    trader = find_own_trader(current_user.id)
    if trader is None:
        raise Forbidden("This page is for traders.")
    g.seat = Seat(trader.id, trader.name, trader.mode)
    return g.seat


def current_seat() -> Seat:
    """The trader that the blueprint's guard has let in."""
    return cast("Seat", g.seat)
