"""What lists of people can be narrowed to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from portal.identity.people.people_list import PersonState
from portal.traders.models import TraderStatus
from portal.web.labels.kyc import TRADER

PERSON: Mapping[PersonState, LazyString] = {
    PersonState.ACTIVE: _l("Active"),
    PersonState.BLOCKED: _l("Blocked"),
    PersonState.ONLINE: _l("Online"),
    PersonState.OFFLINE: _l("Offline"),
    PersonState.NO_FACTOR: _l("No second factor"),
}


# A lead is online where one of their traders is.
LEAD: Mapping[PersonState, LazyString] = {
    PersonState.ACTIVE: _l("Active"),
    PersonState.BLOCKED: _l("Blocked"),
    PersonState.ONLINE: _l("Team online"),
    PersonState.OFFLINE: _l("Team offline"),
}


def person_state_choices() -> Sequence[tuple[str, str]]:
    return _choices(PERSON)


def lead_state_choices() -> Sequence[tuple[str, str]]:
    return _choices(LEAD)


def merchant_state_choices() -> Sequence[tuple[str, str]]:
    """As those of people, but a second factor is each member's own."""
    return [choice for choice in _choices(PERSON) if choice[0] != PersonState.NO_FACTOR]


def trader_state_choices() -> Sequence[tuple[str, str]]:
    return [*merchant_state_choices(), ("unverified", str(TRADER[TraderStatus.PENDING][1]))]


def _choices(words: Mapping[PersonState, LazyString]) -> Sequence[tuple[str, str]]:
    return [(state.value, str(said)) for state, said in words.items()]
