"""Recovery codes: ten ways in when the second factor is lost, each good once, kept as keyed hashes."""

from __future__ import annotations

import base64
import re
import secrets
import uuid
from collections.abc import Sequence

from portal.core.crypto import blind_index
from portal.core.db import db, hot
from portal.identity.proofs.models import RecoveryCode

HOW_MANY = 10
_BYTES = 10  # 80 bits: sixteen letters and digits
_CODE = re.compile(r"[a-z2-7]{16}", re.ASCII)

_FORGET = "DELETE FROM recovery_code WHERE user_id = %(user)s"
_USE = """
UPDATE recovery_code SET used_at = now()
 WHERE user_id = %(user)s AND code_hash = %(hash)s AND used_at IS NULL RETURNING id
"""
_LEFT = "SELECT count(*) AS n FROM recovery_code WHERE user_id = %(user)s AND used_at IS NULL"


def renew_recovery_codes(user_id: uuid.UUID) -> Sequence[str]:
    """Ten new codes, shown this once; all former ones are worth nothing. Needs transaction()."""
    hot(_FORGET, {"user": user_id})
    codes = [base64.b32encode(secrets.token_bytes(_BYTES)).decode().lower() for _ in range(HOW_MANY)]
    db.session.add_all(RecoveryCode(user_id=user_id, code_hash=_hash(user_id, code)) for code in codes)
    db.session.flush()
    return ["-".join(code[start : start + 4] for start in range(0, 16, 4)) for code in codes]


def use_recovery_code(user_id: uuid.UUID, code: str) -> bool:
    """Whether it is an unused code of this person: it is used from now on. Blanks and dashes don't matter.

    Needs transaction(); of two at the same time one is True.
    """
    typed = "".join(code.split()).replace("-", "").lower()
    if not _CODE.fullmatch(typed):
        return False
    return bool(hot(_USE, {"user": user_id, "hash": _hash(user_id, typed)}))


def count_recovery_codes(user_id: uuid.UUID) -> int:
    """How many are left."""
    return int(hot(_LEFT, {"user": user_id})[0]["n"])


def _hash(user_id: uuid.UUID, code: str) -> bytes:
    return blind_index("recovery_code", f"{user_id}\0{code}")
