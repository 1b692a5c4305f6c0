"""The times of the attempts are a promise to merchants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from portal.webhooks.schedule import delay_after, retry_after_s

PROMISED = ["5 s", "30 s", "2 min", "10 min", "30 min", "2 h", "5 h", "10 h", "14 h", "24 h"]
SECONDS = {"s": 1, "min": 60, "h": 3600}


def promised_s(text: str) -> int:
    number, unit = text.split()
    return int(number) * SECONDS[unit]


@pytest.mark.parametrize(("failed", "pause"), list(enumerate(PROMISED, start=1)))
def test_after_each_failure_the_promised_pause_with_a_little_jitter(failed: int, pause: str) -> None:
    pauses = [delay_after(failed) for _ in range(200)]
    exact = promised_s(pause)
    assert all(p is not None and exact * 0.9 <= p <= exact * 1.1 for p in pauses)
    assert len(set(pauses)) > 100, "what failed together would come back together"


def test_after_the_eleventh_attempt_there_is_none() -> None:
    assert delay_after(11) is None
    assert delay_after(11, retry_after_s=5) is None


def test_a_receiver_may_ask_for_more_time_but_not_for_less_and_not_for_ever() -> None:
    assert delay_after(1, retry_after_s=600) == 600
    hurried = delay_after(5, retry_after_s=1)
    assert hurried is not None
    assert hurried > 1600
    assert delay_after(1, retry_after_s=10.0**8) == 24 * 3600


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("0", 0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1e9", None),
        ("²", None),
        ("Fri, 99 Foo 2026 99:99:99 GMT", None),
    ],
)
def test_reading_retry_after(header: str, seconds: float | None) -> None:
    assert retry_after_s({"retry-after": header}) == seconds


def test_retry_after_may_be_a_date_and_a_past_one_means_now() -> None:
    future = format_datetime(datetime.now(UTC) + timedelta(seconds=300), usegmt=True)
    found = retry_after_s({"retry-after": future})
    assert found is not None
    assert 295 <= found <= 300
    past = format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)
    assert retry_after_s({"retry-after": past}) == 0
    assert retry_after_s({}) is None
