"""Lists of orders: the API's and the portals' hold the same ones, whatever they are narrowed to."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timedelta

import pytest

from portal.core.db import transaction
from portal.core.modes import Mode
from portal.orders.models import Direction, Status
from portal.orders.order_list import OrderFilter, Whose, list_orders, list_whole_orders
from portal.orders.record import OrderRecord
from tests.scene import Scene, build_scene

NOBODYS = uuid.UUID(int=1)


@pytest.fixture
def made(scene: Scene) -> list[OrderRecord]:
    """Of one store, the oldest first, and one of another store."""
    scene.fund_store()
    with transaction():
        another = build_scene()
    orders = [scene.payin(1000_00, external_id="first"), scene.payin(1100_00), scene.payout(1200_00)]
    another.payin(1300_00, external_id="first")
    return orders


def test_the_apis_list_and_the_portals_hold_the_same_orders(scene: Scene, made: list[OrderRecord]) -> None:
    """One store is asked for in a statement of its own: it finds what the statement for several does."""
    ids, last, hour = [order.id for order in made], made[-1].created_at, timedelta(hours=1)
    for narrow, expected in (
        (OrderFilter(), ids),
        (OrderFilter(external_id="first"), ids[:1]),
        (OrderFilter(order_id=ids[1]), ids[1:2]),
        (OrderFilter(direction=Direction.PAYOUT), ids[2:]),
        (
            OrderFilter(status=Status.AWAITING_PAYMENT),
            [o.id for o in made if o.status == Status.AWAITING_PAYMENT],
        ),
        (OrderFilter(status=Status.MATCHING), [o.id for o in made if o.status == Status.MATCHING]),
        (OrderFilter(status=Status.COMPLETED), []),
        (OrderFilter(created_from=last - hour, created_to=last + hour), ids),
        (OrderFilter(created_from=last + hour), []),
        (OrderFilter(created_to=last - hour), []),
        (OrderFilter(store_id=NOBODYS), []),
    ):
        for stores in ((scene.store_id,), (scene.store_id, NOBODYS)):
            whose, newest = Whose(stores=stores), expected[::-1]
            assert [o.id for o in list_whole_orders(whose, Mode.LIVE, narrow, 9)] == newest, narrow
            assert [o.id for o in list_orders(whose, Mode.LIVE, narrow, 9)] == newest, narrow
            oldest = list_orders(whose, Mode.LIVE, narrow, 9, oldest_first=True)
            assert [o.id for o in oldest] == expected, narrow


def test_a_list_of_orders_goes_on_behind_the_last_one_both_ways(
    scene: Scene, made: list[OrderRecord]
) -> None:
    whose, ids = Whose(stores=(scene.store_id,)), [order.id for order in made]
    assert [o.id for o in list_whole_orders(whose, Mode.LIVE, OrderFilter(), 1, after=ids[2])] == [ids[1]]
    assert [o.id for o in list_orders(whose, Mode.LIVE, OrderFilter(), 1, after=ids[2])] == [ids[1]]
    assert [
        o.id for o in list_orders(whose, Mode.LIVE, OrderFilter(), 1, after=ids[0], oldest_first=True)
    ] == [ids[1]]
    assert list_whole_orders(Whose(stores=()), Mode.LIVE, OrderFilter(), 9) == []
    assert list_whole_orders(whose, Mode.TEST, OrderFilter(), 9) == []


def test_the_apis_list_gives_the_whole_order(scene: Scene, made: list[OrderRecord]) -> None:
    """As the order by itself is read, but for the moment of reading."""
    from portal.orders.queries import get_order

    listed = list_whole_orders(Whose(stores=(scene.store_id,)), Mode.LIVE, OrderFilter(), 1)[0]
    assert listed == replace(get_order(listed.id), read_at=listed.read_at)
