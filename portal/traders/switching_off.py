"""Switching off the login of somebody who may be a trader: they stop working with it."""

from __future__ import annotations

import uuid

from portal.core.actors import Actor
from portal.identity.people.logins import switch_off
from portal.traders.queries import find_trader_of_user
from portal.traders.service import set_working


def switch_off_and_stop(user_id: uuid.UUID, *, actor: Actor, reason: str) -> None:
    """As `switch_off`; a trader gets no more orders either, until they switch their work on again."""
    switch_off(user_id, actor=actor, reason=reason)
    trader = find_trader_of_user(user_id)
    if trader is not None and trader.is_working:
        set_working(trader.id, False, actor=actor)
