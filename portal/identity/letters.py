"""What people are told by mail about their login. Each writes into the outbox, in the caller's transaction."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum

from portal.core.actors import Origin
from portal.identity.models import User
from portal.mail.links import SECURITY, invitation_page, password_reset_page
from portal.mail.models import MailKind
from portal.mail.service import queue_mail


class Change(StrEnum):
    """What happened to somebody's way of signing in."""

    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - the name of an event
    PASSWORD_RESET = "password_reset"  # noqa: S105 - the name of an event
    APP_ADDED = "app_added"
    APP_REMOVED = "app_removed"
    PASSKEY_ADDED = "passkey_added"
    PASSKEY_REMOVED = "passkey_removed"
    PASSKEY_SET_ASIDE = "passkey_set_aside"
    CODES_RENEWED = "recovery_codes_renewed"
    CODE_USED = "recovery_code_used"
    FACTORS_RESET = "factors_reset"


def mail_invitation(email: str, token: str, invited_by: str, locale: str, ttl_s: int) -> None:
    """Send the link of an invitation to the one it is for."""
    queue_mail(email, MailKind.INVITATION, locale, {
        "invited_by": invited_by, "expires_at": _in(ttl_s), "link": invitation_page(token),
    })  # fmt: skip


def mail_reset(user: User, token: str, ttl_s: int) -> None:
    """Send the link to a new password."""
    link = password_reset_page(token)
    queue_mail(user.email, MailKind.PASSWORD_RESET, user.locale, {"expires_at": _in(ttl_s), "link": link})


def mail_change(email: str, locale: str, change: Change, origin: Origin) -> None:
    """Tell somebody what happened to their way of signing in, and from where."""
    queue_mail(email, MailKind.SECURITY_CHANGED, locale, {
        "what": change.value, "at": _in(0), "ip": origin.ip or "-", "link": SECURITY,
    })  # fmt: skip


def _in(seconds: int) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
