"""What the simulated shop asks the API for."""

from __future__ import annotations

from flask import Flask

from portal.simulator.plans import Planner
from portal.simulator.shop import order_body


def customers_of(run: str) -> list[str]:
    planner = Planner(7)
    return [order_body(planner.next(), run)["customer"]["id"] for _ in range(50)]


def test_nobody_of_one_run_is_a_customer_of_another(app: Flask) -> None:
    first, second = customers_of("sim-7-1"), customers_of("sim-7-2")
    assert len({*first, *second}) == 100
