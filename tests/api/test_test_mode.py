"""Test mode: a merchant plays customer, trader and clock."""

from __future__ import annotations

import pytest

from tests.api.conftest import Shop, code_of, field_codes, order_uuid


@pytest.mark.parametrize(
    ("actions", "status"),
    [(["pay"], "awaiting_confirmation"), (["pay", "confirm"], "completed"), (["confirm"], "completed"),
     (["expire"], "expired"), (["expire", "confirm"], "completed"), (["cancel"], "cancelled"),
     (["dispute"], "disputed"), (["pay", "dispute"], "disputed"), (["pay", "decline"], "disputed"),
     (["pay", "expire"], "disputed"), (["decline"], "matching"), (["decline", "expire"], "failed"),
     (["expire", "decline"], "disputed")],
)  # fmt: skip
def test_a_payin_goes_where_it_is_driven(served: Shop, actions: list[str], status: str) -> None:
    order = served.order()
    for action in actions:
        answer = served.drive(order, action)
        assert answer.status_code == 200, answer.json
    assert (answer.json or {})["status"] == status


@pytest.mark.parametrize(
    ("actions", "status"),
    [(["pay"], "awaiting_confirmation"), (["pay", "confirm"], "completed"), (["pay", "expire"], "completed"),
     (["cancel"], "cancelled"), (["expire"], "failed"), (["pay", "dispute"], "disputed")],
)  # fmt: skip
def test_a_payout_goes_where_it_is_driven(served: Shop, actions: list[str], status: str) -> None:
    served.fund()
    order = served.payout()
    for action in actions:
        answer = served.drive(order, action)
        assert answer.status_code == 200, answer.json
    assert (answer.json or {})["status"] == status


def test_what_the_state_does_not_allow_is_409_in_test_mode_too(served: Shop) -> None:
    order = served.order()
    served.drive(order, "confirm")
    before = served.state()
    for action in ("pay", "expire", "cancel", "dispute", "decline"):
        answer = served.drive(order, action)
        assert (answer.status_code, code_of(answer)) == (409, "invalid_transition"), action
    assert served.state() == before


def test_an_action_nobody_has_is_404(served: Shop) -> None:
    assert code_of(served.drive(served.order(), "explode")) == "not_found"


def test_a_payout_without_a_trader_says_so(shop: Shop) -> None:
    shop.trader(max_amount=200_00)
    shop.fund()
    order = shop.payout("950.00")
    assert code_of(shop.drive(order, "pay")) == "no_requisite"


def test_the_amount_received_is_checked_like_any_other(served: Shop) -> None:
    order = served.order()
    assert field_codes(served.drive(order, "confirm", amount_received="1.999")) == {
        "amount": "too_many_decimals"
    }
    assert field_codes(served.drive(order, "confirm", amount_received=5)) == {
        "amount_received": "not_a_string"
    }


def test_the_clock_moves_one_order_only(served: Shop) -> None:
    order, other = served.order(), served.order(amount="1600.00")

    def move(seconds: object) -> object:
        return served.post("/api/v1/test/clock", {"order_id": order["id"], "seconds": seconds}, idem=None)

    moved = move(60)
    assert moved.status_code == 200  # type: ignore[attr-defined]
    assert (moved.json["status"], moved.json["pay_by"] < order["pay_by"]) == ("awaiting_payment", True)  # type: ignore[attr-defined]
    assert move(900).json["status"] == "expired"  # type: ignore[attr-defined]
    assert (served.get(f"/api/v1/orders/{other['id']}").json or {})["pay_by"] == other["pay_by"]
    for seconds in (0, -5, 10**9, "60", 1.5, True):
        assert set(field_codes(move(seconds))) == {"seconds"}  # type: ignore[arg-type]


def test_the_driven_road_is_the_real_road(served: Shop) -> None:
    """What the drivers do leaves the same timeline and events as the real people would."""
    from portal.core.db import hot, transaction

    order = served.order()
    served.drive(order, "pay")
    served.drive(order, "confirm")
    with transaction():
        steps = hot(
            "SELECT event, actor_kind FROM order_event WHERE order_id = %(id)s ORDER BY id",
            {"id": order_uuid(order)},
        )
        events = hot(
            "SELECT type FROM event WHERE subject_id = %(id)s ORDER BY version", {"id": order_uuid(order)}
        )
    assert [(row["event"], row["actor_kind"]) for row in steps][-2:] == [
        ("claimed", "customer"),
        ("confirmed", "trader"),
    ]
    assert [row["type"] for row in events] == ["order.matched", "order.claimed", "order.completed"]
