"""Every step that can stand in an order's timeline has words."""

from __future__ import annotations

import re

import pytest
from flask import Flask

from portal.orders import verification
from portal.orders.transitions import Step
from portal.web.orders.words import step_words

EVENTS = [*(step.value for step in Step), *re.findall(r"'(\w+)'", verification._STILL)]


@pytest.mark.parametrize("event", EVENTS)
def test_a_step_of_the_timeline_is_told_in_words(app: Flask, event: str) -> None:
    with app.test_request_context():
        assert step_words(event)[0] != event
