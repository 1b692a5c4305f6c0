"""What a password must be: long enough, not one that everybody tries. Nothing is asked of its characters."""

from __future__ import annotations

from functools import lru_cache

from portal.core.errors import ValidationFailed
from portal.identity.proofs.passwords import MAX_BYTES

MIN_LENGTH = 12
MAX_LENGTH = 128


@lru_cache(maxsize=1)
def _common() -> frozenset[str]:
    # A megabyte of Python that only those processes load in which somebody picks a password.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"])


def check_password(password: str, min_length: int = MIN_LENGTH) -> None:
    """Raises ValidationFailed (field `password`): too_short, too_long, malformed or common.

    The password is taken as it is: no blank is cut off, no letter is folded.
    """
    if len(password) < min_length:
        raise ValidationFailed.of("password", "too_short", f"Use at least {min_length} characters.")
    if len(password) > MAX_LENGTH:
        raise ValidationFailed.of("password", "too_long", f"Use at most {MAX_LENGTH} characters.")
    try:
        size = len(password.encode())
    except UnicodeEncodeError:
        raise ValidationFailed.of("password", "malformed", "Use other characters.") from None
    if size > MAX_BYTES:
        raise ValidationFailed.of("password", "too_long", "Use fewer characters.")
    if password.lower() in _common():
        raise ValidationFailed.of(
            "password", "common", "Many people use this password, so it is tried first. Pick another one."
        )
