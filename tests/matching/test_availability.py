"""What is offered before anybody is asked: what the matcher would take, and nothing it would not."""

from __future__ import annotations

import pytest

from portal.core.actors import CUSTOMER
from portal.core.db import hot, transaction
from portal.core.modes import Mode
from portal.disputes.models import DisputeReason
from portal.disputes.service import open_dispute
from portal.matching.queries import methods_available
from portal.orders.availability import availability
from portal.orders.models import Direction
from portal.orders.queries import get_order
from portal.orders.service import claim_payin
from tests.scene import USDT, Scene


def offered(scene: Scene, amount_minor: int = 1500_00) -> list[str]:
    found = methods_available(scene.store, "live", "RUB", amount_minor, 16 * USDT)
    return [method.method for method in found]


def test_a_method_is_offered_with_the_banks_that_serve_it(scene: Scene) -> None:
    scene.requisite(scene.trader())
    (found,) = methods_available(scene.store, "live", "RUB", 1500_00, 16 * USDT)
    assert (found.method, found.banks) == ("card", ("sber",))


@pytest.mark.parametrize(
    "limit", [{"day_amount_limit": 2000_00}, {"total_amount_limit": 2000_00},
              {"window_s": 3600, "window_amount_limit": 2000_00}],
)  # fmt: skip
def test_a_method_whose_limits_have_no_room_left_is_not_offered(scene: Scene, limit: dict[str, int]) -> None:
    scene.requisite(scene.trader(), **limit)
    assert offered(scene) == ["card"]
    assert scene.payin(700_00).status == "awaiting_payment"
    assert offered(scene) == []
    assert scene.payin().status == "matching"
    assert offered(scene, 1300_00) == ["card"]


def test_an_amount_that_is_open_or_disputed_is_not_offered_again(scene: Scene) -> None:
    scene.requisite(scene.trader())
    order = scene.payin()
    assert offered(scene) == []
    with transaction():
        claim_payin(get_order(order.id, lock=True), None, actor=CUSTOMER)
    with transaction():
        locked = get_order(order.id, lock=True)
        open_dispute(locked, DisputeReason.NOT_CONFIRMED, "?", None, actor=scene.support)
    assert offered(scene) == []
    assert scene.payin().status == "matching"
    assert offered(scene, 1500_01) == ["card"]


def test_what_was_counted_yesterday_leaves_room_today(scene: Scene) -> None:
    requisite = scene.requisite(scene.trader(), day_amount_limit=2000_00)
    scene.payin(700_00)
    above = availability(scene.store, Mode.LIVE, Direction.PAYIN, "card", None, "RUB", 1500_00)
    assert (above.is_available, above.below_minor) == (False, 1300_00)
    with transaction():
        hot("UPDATE requisite SET day = day - 1 WHERE id = %(id)s", {"id": requisite.id})
    assert offered(scene) == ["card"]
    above = availability(scene.store, Mode.LIVE, Direction.PAYIN, "card", None, "RUB", 2500_00)
    assert above.below_minor == 2000_00
