"""Every step that can stand in an order's timeline has words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask

from portal.orders import transitions
from portal.orders.integrity import checks
from portal.orders.transitions import Step
from portal.web.labels.order_steps import step_words
from portal.web.labels.reasons import reason_words

SERVICE = Path(transitions.__file__).parent / "service"
EVENTS = [*(step.value for step in Step), *re.findall(r"'(\w+)'", checks._STILL)]


@pytest.mark.parametrize("event", EVENTS)
def test_a_step_of_the_timeline_is_told_in_words(app: Flask, event: str) -> None:
    with app.test_request_context():
        assert step_words(event)[0] != event


# What the clock writes as a reason: constants in its code.
_OWN_REASON = re.compile(
    r"'system', '([a-z_]+)'|\"([a-z]+_[a-z_]+|outage)\"(?:, actor=SYSTEM)?\)$", re.MULTILINE
)
_CLOCK = "".join((SERVICE / name).read_text(encoding="utf-8") for name in ("deadlines.py", "silences.py"))
REASONS = sorted({next(filter(None, found)) for found in _OWN_REASON.findall(_CLOCK)})


@pytest.mark.parametrize("reason", REASONS)
def test_a_reason_that_the_house_gives_is_told_in_words(app: Flask, reason: str) -> None:
    with app.test_request_context():
        assert "_" not in reason_words(reason)


def test_the_reasons_of_the_house_are_found() -> None:
    assert {"nobody_free", "not_paid_in_time", "outage", "clock_set_back"} <= set(REASONS)
