"""What somebody was told, and what they choose to be told; each kind of notification has a sentence for both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from portal.core.money import read_in
from portal.notifications.models import NotificationKind
from portal.notifications.queries import NotificationLine
from portal.web.shell.languages import current_language

Params = Mapping[str, str]


def _new_order(said: Params) -> str:
    return _("A new order of %(amount)s", amount=read_in(current_language(), said["amount"]))


def _dispute_opened(said: Params) -> str:
    return _("A dispute is open over order %(order)s", order=said["order"])


def _approval_wanted(said: Params) -> str:
    who_and_whose = {"who": said["asked_by"], "subject": said["subject"]}
    if said["what"] == "access":
        asks = _("%(who)s asks to change what %(subject)s may do.", **who_and_whose)
    else:
        asks = _(
            "%(who)s proposes to complete the order %(subject)s with %(amount)s, more than its amount.",
            amount=read_in(current_language(), said["amount"]), **who_and_whose,
        )  # fmt: skip
    return _("Your approval is wanted") + f": {asks}"


def _endpoint_disabled(said: Params) -> str:
    return _("The webhook endpoint of %(store)s is disabled", store=said["store"])


def _ledger_broken(said: Params) -> str:
    return _("The ledger's proof failed: %(checks)s", checks=said["checks"])


def _exposure_high(said: Params) -> str:
    return _(
        "%(store)s has nearly reached a limit, %(limit)s: %(used)s of %(allowed)s",
        store=said["store"], limit=said["limit"], used=said["used"], allowed=said["allowed"],
    )  # fmt: skip


def _rate_ageing(said: Params) -> str:
    pair = said["pair"]
    return _("The exchange rate of %(pair)s is getting old: without a new one orders are refused.", pair=pair)


def _shortfalls_used_up(said: Params) -> str:
    return _(
        "%(trader)s has confirmed payins below their amount as often as a trader may within 24 hours: %(most)s",
        trader=said["trader"], most=said["most"],
    )  # fmt: skip


def _new_device(said: Params) -> str:
    return _("A new device signed in to your account") + f": {said['device']}, {said['ip']}"


SENTENCES: Mapping[NotificationKind, Callable[[Params], str]] = {
    NotificationKind.NEW_ORDER: _new_order,
    NotificationKind.DISPUTE_OPENED: _dispute_opened,
    NotificationKind.APPROVAL_WANTED: _approval_wanted,
    NotificationKind.ENDPOINT_DISABLED: _endpoint_disabled,
    NotificationKind.LEDGER_BROKEN: _ledger_broken,
    NotificationKind.EXPOSURE_HIGH: _exposure_high,
    NotificationKind.RATE_AGEING: _rate_ageing,
    NotificationKind.SHORTFALLS_USED_UP: _shortfalls_used_up,
    NotificationKind.NEW_DEVICE: _new_device,
}


def told(line: NotificationLine) -> str:
    """What the line says. Text, to be escaped where it is shown."""
    # What was told before a parameter of its kind came lacks it.
    return SENTENCES[line.kind](defaultdict(str, line.params))


# What somebody chooses to be told, before it happens.
CHOICE: Mapping[NotificationKind, LazyString] = {
    NotificationKind.NEW_ORDER: _l("A new order is yours"),
    NotificationKind.DISPUTE_OPENED: _l("A dispute is opened over an order that concerns you"),
    NotificationKind.APPROVAL_WANTED: _l("Somebody needs your approval"),
    NotificationKind.ENDPOINT_DISABLED: _l("A webhook endpoint of yours is disabled"),
    NotificationKind.LEDGER_BROKEN: _l("A check of the ledger finds something broken"),
    NotificationKind.EXPOSURE_HIGH: _l("A store has nearly reached a limit of exposure"),
    NotificationKind.RATE_AGEING: _l("An exchange rate is getting old"),
    NotificationKind.SHORTFALLS_USED_UP: _l("A trader has used up a day's payins below their amount"),
    NotificationKind.NEW_DEVICE: _l("A new device signs in to your account"),
}


def choice_words(kind: str) -> str:
    return str(CHOICE[NotificationKind(kind)])
