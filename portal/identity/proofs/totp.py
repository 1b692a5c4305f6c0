"""Authenticator apps: a shared secret, six digits every 30 seconds (RFC 6238), each good once."""

from __future__ import annotations

import re
import uuid

import pyotp
from pyotp.exceptions import OTPVerificationError

from portal.core.crypto import decrypt, encrypt
from portal.core.db import hot
from portal.core.errors import Conflict

ISSUER = "Nostro"
_CODE = re.compile(r"[0-9]{6}", re.ASCII)

_PUT = """
INSERT INTO totp_factor (user_id, secret_encrypted) VALUES (%(user)s, %(secret)s)
ON CONFLICT (user_id) DO UPDATE SET secret_encrypted = excluded.secret_encrypted, last_step = 0,
       created_at = clock_timestamp()
 WHERE totp_factor.confirmed_at IS NULL
RETURNING user_id
"""
_READ = """
SELECT secret_encrypted AS secret, confirmed_at IS NOT NULL AS is_confirmed,
       extract(epoch FROM now())::bigint AS now_s
  FROM totp_factor WHERE user_id = %(user)s
"""
# The row decides which of two uses of one code is the first.
_USE = """
UPDATE totp_factor SET last_step = %(step)s
 WHERE user_id = %(user)s AND last_step < %(step)s AND confirmed_at IS NOT NULL RETURNING user_id
"""
_CONFIRM = """
UPDATE totp_factor SET last_step = %(step)s, confirmed_at = now()
 WHERE user_id = %(user)s AND confirmed_at IS NULL AND last_step < %(step)s RETURNING user_id
"""
_REMOVE = "DELETE FROM totp_factor WHERE user_id = %(user)s AND confirmed_at IS NOT NULL RETURNING user_id"


def propose_totp(user_id: uuid.UUID) -> str:
    """A new secret (base32) that counts once it is confirmed; it replaces one that never was.

    Raises Conflict `has_totp` while the person has an app. Needs transaction().
    """
    secret = pyotp.random_base32()
    stored = encrypt("totp_factor", "secret_encrypted", user_id, secret)
    if not hot(_PUT, {"user": user_id, "secret": stored}):
        raise Conflict("You have an authenticator app already. Remove it first.", code="has_totp")
    return secret


def find_proposed_secret(user_id: uuid.UUID) -> str | None:
    """The secret that waits to be confirmed."""
    rows = hot(_READ, {"user": user_id})
    if not rows or rows[0]["is_confirmed"]:
        return None
    return decrypt("totp_factor", "secret_encrypted", user_id, rows[0]["secret"])


def provisioning_uri(secret: str, email: str) -> str:
    """What an authenticator app reads from the QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=ISSUER)


def confirm_totp(user_id: uuid.UUID, code: str) -> bool:
    """Make the proposed secret count if the code is of it; False otherwise. Needs transaction()."""
    step = _step_of(user_id, code, is_confirmed=False)
    return step is not None and bool(hot(_CONFIRM, {"user": user_id, "step": step}))


def use_totp(user_id: uuid.UUID, code: str) -> bool:
    """Whether the code is of this moment or a neighbouring step and was not used: it is from now on.

    Needs transaction(); of two at the same time one is True.
    """
    step = _step_of(user_id, code, is_confirmed=True)
    return step is not None and bool(hot(_USE, {"user": user_id, "step": step}))


def _step_of(user_id: uuid.UUID, code: str, *, is_confirmed: bool) -> int | None:
    """The 30-second step of a code within one step of the database's clock."""
    digits = "".join(code.split())
    rows = hot(_READ, {"user": user_id})
    if not rows or rows[0]["is_confirmed"] is not is_confirmed or not _CODE.fullmatch(digits):
        return None
    totp = pyotp.TOTP(decrypt("totp_factor", "secret_encrypted", user_id, rows[0]["secret"]))
    try:
        return totp.verify_and_get_timecode(digits, for_time=rows[0]["now_s"], valid_window=1)
    except OTPVerificationError:
        return None


def remove_totp(user_id: uuid.UUID) -> bool:
    """Take the app away: whether there was one. Needs transaction()."""
    return bool(hot(_REMOVE, {"user": user_id}))
