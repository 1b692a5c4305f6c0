"""A customer in front of their payment page."""

from __future__ import annotations

import pytest
from flask import Flask

from portal.traders.models import Requisite, Trader
from tests.scene import Scene
from tests.web.pay.customer import Customer, make_scene


@pytest.fixture
def scene(app: Flask) -> Scene:
    return make_scene()


@pytest.fixture
def trader(scene: Scene) -> Trader:
    return scene.trader()


@pytest.fixture
def requisite(scene: Scene, trader: Trader) -> Requisite:
    return scene.requisite(trader)


@pytest.fixture
def customer(app: Flask, scene: Scene, requisite: Requisite) -> Customer:
    """Somebody who is to pay 1,500 RUB by card."""
    order = scene.payin(return_url="https://shop.example/back?order=1", description="Order 1001")
    assert order.status == "awaiting_payment"
    return Customer(app.test_client(), order)


@pytest.fixture
def undecided(app: Flask, scene: Scene, requisite: Requisite) -> Customer:
    """Somebody who has not chosen a method yet."""
    return Customer(app.test_client(), scene.payin(method=None))
