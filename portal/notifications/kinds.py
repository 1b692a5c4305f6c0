"""What people can be told: how it is told unless they choose otherwise, and the mail that goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from portal.identity.models import Role
from portal.mail.models import MailKind
from portal.notifications.models import NotificationKind


@dataclass(frozen=True, slots=True)
class Telling:
    """`in_app` and `by_mail` are what holds for who chose nothing. `roles`: whom it concerns, None for everybody."""

    mail: MailKind
    in_app: bool = True
    by_mail: bool = True
    roles: frozenset[Role] | None = None


_STAFF = frozenset({Role.ADMIN, Role.SUPPORT})

TELLINGS: Mapping[NotificationKind, Telling] = {
    # A trader at work has dozens a day: the queue calls them, a mail for each would not.
    NotificationKind.NEW_ORDER: Telling(MailKind.NEW_ORDER, by_mail=False, roles=frozenset({Role.TRADER})),
    NotificationKind.DISPUTE_OPENED: Telling(
        MailKind.DISPUTE_OPENED, roles=_STAFF | {Role.TRADER, Role.LEAD, Role.MERCHANT}
    ),
    NotificationKind.APPROVAL_WANTED: Telling(MailKind.APPROVAL_WANTED, roles=_STAFF),
    NotificationKind.ENDPOINT_DISABLED: Telling(MailKind.ENDPOINT_DISABLED, roles=frozenset({Role.MERCHANT})),
    NotificationKind.NEW_DEVICE: Telling(MailKind.NEW_DEVICE),
    NotificationKind.LEDGER_BROKEN: Telling(MailKind.LEDGER_BROKEN, roles=frozenset({Role.ADMIN})),
    NotificationKind.EXPOSURE_HIGH: Telling(MailKind.EXPOSURE_HIGH, roles=frozenset({Role.ADMIN})),
    # A feed that stutters may age several times a day.
    NotificationKind.RATE_AGEING: Telling(MailKind.RATE_AGEING, by_mail=False, roles=frozenset({Role.ADMIN})),
    NotificationKind.SHORTFALLS_USED_UP: Telling(MailKind.SHORTFALLS_USED_UP, roles=frozenset({Role.ADMIN})),
}


def kinds_for(roles: tuple[Role, ...]) -> tuple[NotificationKind, ...]:
    """The kinds that somebody with these roles can be told of, in the order of the enumeration."""
    return tuple(
        kind
        for kind in NotificationKind
        if (concerned := TELLINGS[kind].roles) is None or concerned & set(roles)
    )
