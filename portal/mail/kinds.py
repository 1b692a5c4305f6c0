"""What each kind of mail needs to be told, and which of it only the receiver may know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from portal.mail.models import MailKind


@dataclass(frozen=True, slots=True)
class MailShape:
    """The names of the parameters: all of them are needed, `secret` ones are encrypted and wiped."""

    plain: frozenset[str]
    secret: frozenset[str] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        return self.plain | self.secret


def _shape(*plain: str, secret: tuple[str, ...] = ()) -> MailShape:
    return MailShape(frozenset(plain), frozenset(secret))


# Stands beside the secret parameters of a mail.
RECEIVER = "to"
# `link` is a path of this house ("/disputes/..."): where the house stands is added when the mail is sent.
SHAPES: Mapping[MailKind, MailShape] = {
    MailKind.INVITATION: _shape("invited_by", "expires_at", secret=("link",)),
    MailKind.PASSWORD_RESET: _shape("expires_at", secret=("link",)),
    MailKind.NEW_DEVICE: _shape("at", "ip", "device", "link"),
    MailKind.DISPUTE_OPENED: _shape("order", "amount", "link"),
    MailKind.APPROVAL_WANTED: _shape("what", "subject", "amount", "asked_by", "link"),
    MailKind.ENDPOINT_DISABLED: _shape("store", "url", "link"),
    MailKind.SECURITY_CHANGED: _shape("what", "at", "ip", "link"),
    MailKind.LEDGER_BROKEN: _shape("checks", "at", "link"),
    MailKind.EXPOSURE_HIGH: _shape("store", "limit", "used", "allowed", "link"),
    MailKind.RATE_AGEING: _shape("pair", "at", "link"),
    MailKind.SHORTFALLS_USED_UP: _shape("trader", "most", "link"),
    MailKind.NEW_ORDER: _shape("order", "amount", "link"),
}
