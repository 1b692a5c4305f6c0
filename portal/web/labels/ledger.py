"""What the ledger's entries and accounts are called."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from portal.ledger.models import AccountKind, EntryKind, OwnerKind

ENTRY: Mapping[EntryKind, LazyString] = {
    EntryKind.DEPOSIT: _l("A deposit came"),
    EntryKind.PAYIN_MATCHED: _l("The trader's deposit was held"),
    EntryKind.PAYIN_COMPLETED: _l("The payin was settled"),
    EntryKind.PAYIN_RELEASED: _l("The hold was released"),
    EntryKind.PAYOUT_CREATED: _l("The store's balance was held"),
    EntryKind.PAYOUT_COMPLETED: _l("The payout was settled"),
    EntryKind.PAYOUT_RELEASED: _l("The store's hold was released"),
    EntryKind.WITHDRAWAL_ASKED: _l("A withdrawal was asked for"),
    EntryKind.WITHDRAWAL_PAID: _l("The withdrawal was paid"),
    EntryKind.WITHDRAWAL_REFUSED: _l("The withdrawal was refused"),
    EntryKind.REVERSAL: _l("Reversed"),
    EntryKind.ADJUSTMENT: _l("Adjusted"),
}
OWNER: Mapping[OwnerKind, LazyString] = {
    OwnerKind.PLATFORM: _l("Platform"),
    OwnerKind.STORE: _l("Store"),
    OwnerKind.TRADER: _l("Trader"),
    OwnerKind.LEAD: _l("Team lead"),
    OwnerKind.WORLD: _l("Outside world"),
}
# After whose it is.
ACCOUNT: Mapping[AccountKind, LazyString] = {
    AccountKind.AVAILABLE: _l("available"),
    AccountKind.HELD: _l("on hold"),
    AccountKind.FIAT: _l("fiat"),
    AccountKind.REVENUE: _l("revenue"),
    AccountKind.ADJUSTMENTS: _l("adjustments"),
    AccountKind.SETTLEMENT: _l("settlement"),
}
# Above a trader's figures, who has no other accounts: fiat is money on their own bank accounts.
TRADERS_ACCOUNT: Mapping[AccountKind, LazyString] = {
    AccountKind.AVAILABLE: _l("Available"),
    AccountKind.HELD: _l("On hold"),
    AccountKind.FIAT: _l("Fiat with you"),
}


def entry_words(kind: str) -> str:
    return str(ENTRY[EntryKind(kind)])


def account_words(owner: str, kind: str) -> str:
    return f"{OWNER[OwnerKind(owner)]}, {account_kind_words(kind)}"


def account_kind_words(kind: str) -> str:
    return str(ACCOUNT[AccountKind(kind)])


def traders_account_words(kind: str) -> str:
    return str(TRADERS_ACCOUNT[AccountKind(kind)])
