"""The clock of PostgreSQL and of all processes is set while everything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from tests.faults.load import Load
from tests.faults.movable_clock import needs_library
from tests.faults.processes import wait_until
from tests.faults.stage import Stage

Fault = Callable[[str, int], None]
pytestmark = [pytest.mark.faults, pytest.mark.timeout(400), needs_library]

# Longer than a customer has to pay (15 minutes), so that whoever is judged by it has run out of time.
JUMP = timedelta(minutes=20)
PAYING = "SELECT id FROM orders WHERE status = 'awaiting_payment' AND due_at IS NOT NULL"
_LEFT = """
SELECT id, extract(epoch FROM due_at - clock_timestamp())::float8 FROM orders
 WHERE status = 'awaiting_payment' AND id = ANY(%s)
"""
_RAN_OUT = "SELECT order_id FROM order_event WHERE event = 'pay_ran_out' AND order_id = ANY(%s)"
_CORRECTED = "SELECT order_id FROM order_event WHERE event = %s AND order_id = ANY(%s)"


@pytest.fixture
def moving(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A stage of its own, whose clock can be moved."""
    stage = Stage(has_movable_clock=True)
    failed_before = request.session.testsfailed
    try:
        stage.start()
        yield stage
    finally:
        if request.session.testsfailed > failed_before or hasattr(request.node, "fault_failed"):
            stage.keep_logs(request.node.name)
        stage.stop()


@pytest.mark.proves("F23")
def test_a_clock_that_is_set_under_load_costs_nobody_their_time(moving: Stage, fault: Fault) -> None:
    rounds = 2
    for nth in range(rounds):
        with moving.load(seed=230 + nth) as load:
            assert moving.clock is not None
            people = _people_who_pay(moving, load)
            with moving.clock.moved(JUMP):
                _go_on(moving, load)
                _have_their_time(moving, people, "deadline_extended")
                later = _people_who_pay(moving, load)
            _go_on(moving, load)
            _have_their_time(moving, later, "deadline_corrected")
        moving.quiesce()
    fault("the clock of PostgreSQL and all processes set 20 minutes ahead under load, and back", 2 * rounds)


def _people_who_pay(stage: Stage, load: Load) -> list[object]:
    """Orders that wait for their payment at this moment."""
    before = load.created
    wait_until(lambda: load.created > before + 8, 60, "orders are made")
    wait_until(lambda: stage.sql(PAYING), 30, "somebody is to pay")
    return [row[0] for row in stage.sql(PAYING)]


def _go_on(stage: Stage, load: Load) -> None:
    """Orders are made, paid and told after the clock was set as they were before."""
    before, told = load.acts, len(stage.shop.told)
    wait_until(lambda: load.acts > before + 20, 60, "work goes on")
    wait_until(lambda: len(stage.shop.told) > told + 10, 60, "webhooks are sent")
    stage.wait_until_ready(15)


def _have_their_time(stage: Stage, people: list[object], event: str) -> None:
    assert stage.sql(_RAN_OUT, people) == []
    assert stage.sql(_CORRECTED, event, people), "nobody's deadline was moved"
    left = {str(order): seconds for order, seconds in stage.sql(_LEFT, people)}
    assert all(60 < seconds <= 15 * 60 for seconds in left.values()), left
