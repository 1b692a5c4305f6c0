"""How people stand: the pill of a line, and what their lists can be narrowed to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from portal.identity.people.people_list import PersonState
from portal.traders.models import TraderStatus
from portal.web.labels.kyc import TRADER, trader_pill

PERSON: Mapping[PersonState, tuple[str, LazyString]] = {
    PersonState.ACTIVE: ("green", _l("Active")),
    PersonState.BLOCKED: ("red", _l("Blocked")),
    PersonState.ONLINE: ("green", _l("Online")),
    PersonState.OFFLINE: ("gray", _l("Offline")),
    PersonState.NO_FACTOR: ("yellow", _l("No second factor")),
}


# A lead is online where one of their traders is.
LEAD: Mapping[PersonState, tuple[str, LazyString]] = {
    PersonState.ACTIVE: ("green", _l("Active")),
    PersonState.BLOCKED: ("red", _l("Blocked")),
    PersonState.ONLINE: ("green", _l("Team online")),
    PersonState.OFFLINE: ("gray", _l("Team offline")),
}


class HasStanding(Protocol):
    @property
    def is_blocked(self) -> bool: ...
    @property
    def status(self) -> str: ...
    @property
    def is_online(self) -> bool: ...


def person_pill(*, is_active: bool, is_online: bool) -> tuple[str, str]:
    """Colour and words of a login, or of a merchant by its members."""
    return _pill(PERSON, is_active=is_active, is_online=is_online)


def lead_pill(*, is_active: bool, is_online: bool) -> tuple[str, str]:
    return _pill(LEAD, is_active=is_active, is_online=is_online)


def trader_state_pill(trader: HasStanding) -> tuple[str, str]:
    """Blocked before all else; whether they are online is worth saying of who may work."""
    return obstacle_pill(trader) or person_pill(is_active=True, is_online=trader.is_online)


def obstacle_pill(trader: HasStanding) -> tuple[str, str] | None:
    """Why this trader may not work; None where they may."""
    if trader.is_blocked:
        return person_pill(is_active=False, is_online=False)
    return None if trader.status == TraderStatus.VERIFIED else trader_pill(trader.status)


def person_state_choices() -> Sequence[tuple[str, str]]:
    return _choices(PERSON)


def lead_state_choices() -> Sequence[tuple[str, str]]:
    return _choices(LEAD)


def merchant_state_choices() -> Sequence[tuple[str, str]]:
    """As those of people, but a second factor is each member's own."""
    return [choice for choice in _choices(PERSON) if choice[0] != PersonState.NO_FACTOR]


def trader_state_choices() -> Sequence[tuple[str, str]]:
    return [*merchant_state_choices(), ("unverified", str(TRADER[TraderStatus.PENDING][1]))]


def _choices(words: Mapping[PersonState, tuple[str, LazyString]]) -> Sequence[tuple[str, str]]:
    return [(state.value, str(said)) for state, (_colour, said) in words.items()]


def _pill(
    words: Mapping[PersonState, tuple[str, LazyString]], *, is_active: bool, is_online: bool
) -> tuple[str, str]:
    here = PersonState.ONLINE if is_online else PersonState.OFFLINE
    colour, said = words[here if is_active else PersonState.BLOCKED]
    return colour, str(said)
