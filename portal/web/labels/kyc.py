"""Whether a trader is known: how they stand, what they have shown, and what was decided."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from portal.traders.kyc_models import DocumentKind, Outcome
from portal.traders.models import TraderStatus

TRADER: Mapping[TraderStatus, tuple[str, LazyString]] = {
    TraderStatus.PENDING: ("yellow", _l("Not verified")),
    TraderStatus.VERIFIED: ("green", _l("Verified")),
    TraderStatus.SUSPENDED: ("red", _l("Verification taken back")),
}
DOCUMENT: Mapping[DocumentKind, LazyString] = {
    DocumentKind.IDENTITY: _l("Identity document"),
    DocumentKind.ADDRESS: _l("Proof of address"),
    DocumentKind.BANK: _l("Bank statement"),
    DocumentKind.CONTRACT: _l("Contract"),
    DocumentKind.OTHER: _l("Something else"),
}
OUTCOME: Mapping[Outcome, tuple[str, LazyString]] = {
    Outcome.VERIFIED: ("green", _l("Verified")),
    Outcome.REFUSED: ("red", _l("Refused")),
    Outcome.WITHDRAWN: ("red", _l("Taken back")),
    Outcome.EXPIRED: ("orange", _l("Ran out")),
}


def trader_pill(status: str) -> tuple[str, str]:
    colour, words = TRADER[TraderStatus(status)]
    return colour, str(words)


def document_words(kind: str) -> str:
    return str(DOCUMENT[DocumentKind(kind)])


def outcome_pill(outcome: str) -> tuple[str, str]:
    colour, words = OUTCOME[Outcome(outcome)]
    return colour, str(words)
