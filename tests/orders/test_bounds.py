"""No order is outside of its method's bounds, whoever asks for it."""

from __future__ import annotations

import pytest

from portal.core.db import hot
from portal.orders.models import Direction
from portal.orders.service.create import NewOrder, Recipient
from portal.reference.amounts import AmountOutOfBounds
from portal.reference.requisite_numbers import normalise
from tests.scene import Scene, card_number

pytestmark = pytest.mark.proves("tried S18")


@pytest.mark.parametrize("amount_minor", [0, -1500_00, 1, 99_99, 700_000_00])
@pytest.mark.parametrize("direction", Direction)
def test_an_order_of_the_domain_is_within_the_bounds_of_its_method(
    scene: Scene, direction: Direction, amount_minor: int
) -> None:
    scene.fund_store()
    recipient = Recipient(normalise("card", card_number(), "RUB"), "IVAN P.")
    with pytest.raises(AmountOutOfBounds):
        scene.create(
            NewOrder(direction, amount_minor, "RUB", method="card", bank="sber", recipient=recipient)
        )
    assert (
        hot("SELECT count(*) AS n FROM orders WHERE store_id = %(id)s", {"id": scene.store_id})[0]["n"] == 0
    )


def test_a_payin_whose_method_is_open_is_within_the_bounds_of_its_currency(scene: Scene) -> None:
    with pytest.raises(AmountOutOfBounds):
        scene.payin(3_000_000_01, method=None)
    assert scene.payin(700_000_00, method=None).status == "matching"
