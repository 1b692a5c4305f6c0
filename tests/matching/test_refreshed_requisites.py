"""What a requisite repeats of its trader is written where it differs, and nowhere else."""

from __future__ import annotations

import pytest

from portal.core.actors import SYSTEM
from portal.core.db import hot, transaction
from portal.traders.models import Requisite
from portal.traders.service import (
    NewRequisite,
    add_requisite,
    set_lead_switches,
    set_team_switches,
    set_working,
)
from tests.scene import Scene, card_number

_ROW = "SELECT xmin::text, ctid::text, trader_payin_on, trader_payout_on FROM requisite WHERE id = %(id)s"


def stored(requisite: Requisite) -> dict[str, object]:
    return hot(_ROW, {"id": requisite.id})[0]


def says(requisite: Requisite) -> tuple[object, object]:
    row = stored(requisite)
    return row["trader_payin_on"], row["trader_payout_on"]


@pytest.mark.parametrize("working", [True, False])
def test_adding_a_requisite_writes_no_other_one_of_the_trader(scene: Scene, working: bool) -> None:
    trader = scene.trader(working=working)
    others = [scene.requisite(trader) for _ in range(2)]
    before = [stored(other) for other in others]
    new = NewRequisite(method="card", currency="RUB", number=card_number(), holder="TARA P.", bank="sber")
    with transaction():
        added = add_requisite(trader.id, new, actor=SYSTEM)
    assert [stored(other) for other in others] == before
    assert says(added) == (working, working)


def test_what_differs_is_written_one_direction_alone_too(scene: Scene) -> None:
    trader, other = scene.trader(), scene.trader()
    requisite, of_another = scene.requisite(trader), scene.requisite(other)
    with transaction():
        set_lead_switches(trader.id, payin_on=True, payout_on=False)
    assert (says(requisite), says(of_another)) == ((True, False), (True, True))
    before = stored(requisite)
    with transaction():
        set_team_switches(scene.team_id, payin_on=True, payout_on=False)
    assert (stored(requisite), says(of_another)) == (before, (True, False))
    with transaction():
        set_working(trader.id, False)
    assert says(requisite) == (False, False)
