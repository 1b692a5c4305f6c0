"""What traders and stores turned over: of which period, in which currency, and whether all of it was looked at."""

from __future__ import annotations

from datetime import timedelta

from portal.core.db import transaction
from portal.core.modes import Mode
from portal.orders.figures.turnover import turnover_by_store, turnover_by_trader, turnover_of_all_traders
from portal.orders.queries import get_order
from portal.orders.service import confirm_payin
from tests.rows import change
from tests.scene import Scene, as_trader


def test_a_period_begins_where_the_row_says_and_not_where_its_id_does(scene: Scene) -> None:
    """Ids are made by the clock of the program, created_at is told by the database's."""
    trader = scene.trader()
    scene.requisite(trader)
    order = scene.payin()
    with transaction():
        confirm_payin(get_order(order.id, lock=True), None, actor=as_trader(trader))
    since = order.created_at
    for shift, found in ((timedelta(0), 1), (timedelta(seconds=-1), 0), (timedelta(seconds=30), 1)):
        values = {"id": order.id, "at": since + shift}
        change("UPDATE orders SET created_at = %(at)s WHERE id = %(id)s", values)
        assert get_order(order.id).created_at == since + shift
        by_trader = turnover_by_trader([trader.id], Mode.LIVE, since)
        assert sum(one.completed for one in by_trader.values()) == found
        assert (trader.id in turnover_of_all_traders(Mode.LIVE, since)) is bool(found)
        assert (scene.store_id in turnover_by_store([scene.store_id], Mode.LIVE, since)) is bool(found)


def test_one_currency_can_be_asked_for_and_what_was_left_out_is_said(scene: Scene) -> None:
    trader = scene.trader()
    scene.requisite(trader)
    orders = [scene.payin(1500_00 + n) for n in range(2)]
    for order in orders:
        with transaction():
            confirm_payin(get_order(order.id, lock=True), None, actor=as_trader(trader))
    since, ids = orders[0].created_at, [trader.id]
    (one,) = turnover_by_trader(ids, Mode.LIVE, since, currency="USDT", each=3).values()
    assert (one.orders, one.completed, one.currency, one.is_whole) == (2, 2, "USDT", True)
    assert one.minor == sum(get_order(order.id).settlement_minor for order in orders)
    assert turnover_by_trader(ids, Mode.LIVE, since, currency="BTC") == {}
    (newest,) = turnover_by_trader(ids, Mode.LIVE, since, each=1).values()
    assert (newest.completed, newest.is_whole) == (1, False)
