"""An order that was made is answered again, also when its amount could not be asked for any more."""

from __future__ import annotations

from portal.core.db import hot, transaction
from portal.reference.snapshot import forget_all
from tests.api.conftest import Shop


def bound_cards_to(least_minor: int) -> None:
    with transaction():
        hot(
            "UPDATE method_currency SET min_amount = %(n)s WHERE method = 'card' AND currency = 'RUB'",
            {"n": least_minor},
        )
    forget_all()


def test_a_repeat_is_answered_though_the_bounds_have_moved_since(shop: Shop) -> None:
    made = shop.create("once")
    assert made.status_code == 201
    bound_cards_to(2_000_00)
    try:
        again, new = shop.create("once"), shop.create("twice")
    finally:
        bound_cards_to(100_00)
    assert (again.status_code, again.data) == (201, made.data)
    assert (new.status_code, (new.json or {})["errors"][0]["code"]) == (422, "too_small")
