"""When a delivery that failed is tried again."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MINUTE, HOUR = 60, 3600
# What passes between one attempt and the next; the first attempt is made at once.
DELAYS_S = (
    5,
    30,
    2 * MINUTE,
    10 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    14 * HOUR,
    24 * HOUR,
)
# A question that nobody answers is put three times: whose address it is may never have asked for it.
CHALLENGE_DELAYS_S = (30, 10 * MINUTE)
MAX_ATTEMPTS = len(DELAYS_S) + 1
JITTER = 0.1
MAX_RETRY_AFTER_S = 24 * HOUR


def delay_after(
    attempts: int, retry_after_s: float | None = None, delays_s: Sequence[int] = DELAYS_S
) -> float | None:
    """Seconds until the next attempt when `attempts` have failed, or None when there is none left.

    Spread by 10 % to either side, so that what failed together does not come back together. A receiver
    may ask for more time, up to a day, but never for less than the schedule gives.
    """
    if attempts > len(delays_s):
        return None
    delay = delays_s[attempts - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - not a secret
    return max(delay, min(retry_after_s or 0.0, MAX_RETRY_AFTER_S))


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """What `Retry-After` asks for, in seconds: a number or an HTTP date. None when absent or unreadable."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
