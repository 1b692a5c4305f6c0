"""A limit that falls below what is open lets nothing in until enough has ended, however what is open lies in the store's rows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from portal.core.db import hot, transaction
from portal.core.modes import Mode
from portal.orders.exposure import limits
from tests.orders.attacker import Attacker, allow, held, house
from tests.scene import USDT

pytestmark = [pytest.mark.races, pytest.mark.proves("tried S6")]
LARGE, SMALL = 1_500, 20
# The rate of tests: roubles for a unit.
RATE = 95


@pytest.fixture
def large(attacker: Attacker) -> dict[str, Any]:
    """The one open payin. It lies in one row of the store's eight, far below an eighth of the limit."""
    house(attacker.scene, 4, 14_978, 48)
    allow(store_requisites=1000)
    answer = attacker.create(f"{LARGE * RATE}.00")
    assert answer.status_code == 201
    assert held(attacker.scene) == LARGE * USDT
    return answer.json or {}


def lower(monkeypatch: pytest.MonkeyPatch, name: str, most: int) -> None:
    """The setting, or what all traders have, of which a store's part is a half."""
    if name == "store_open":
        allow(store_open=most)
    else:
        deposits = {(Mode.LIVE.value, "USDT"): 2 * most * USDT}
        monkeypatch.setattr(limits, "_deposits", SimpleNamespace(get=lambda: deposits))


def small_ones(attacker: Attacker, count: int) -> list[Any]:
    return [attacker.create(f"{SMALL * RATE}.{n:02}") for n in range(count)]


@pytest.mark.parametrize("name", ["store_open", "store_share"])
def test_a_limit_lowered_below_what_is_open_shuts_the_store_until_enough_has_ended(
    attacker: Attacker, large: dict[str, Any], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    lower(monkeypatch, name, 1_000)
    answers = small_ones(attacker, 16)
    assert [(answer.status_code, answer.json.get("limit")) for answer in answers] == [(429, name)] * 16
    assert held(attacker.scene) == LARGE * USDT
    attacker.cancel(large)
    assert [answer.status_code for answer in small_ones(attacker, 16)] == [201] * 16


@pytest.mark.parametrize("name", ["store_open", "store_share"])
def test_a_limit_lowered_to_little_above_what_is_open_lets_in_what_is_left(
    attacker: Attacker, large: dict[str, Any], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The one row is above its eighth, the others have room: together they have little."""
    lower(monkeypatch, name, LARGE + 5 * SMALL + 1)
    assert [answer.status_code for answer in small_ones(attacker, 8)] == [201] * 5 + [429] * 3
    with transaction():
        sql = "SELECT max(open_minor) AS most FROM exposure WHERE store_id = %(id)s"
        most = hot(sql, {"id": attacker.scene.store_id})[0]["most"]
    assert most < held(attacker.scene) / 4, "levelled, so that each row may be taken alone once there is room"
