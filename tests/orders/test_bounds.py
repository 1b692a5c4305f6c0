"""No order is outside of its method's bounds, or paid in a way that there is not, whoever asks for it."""

from __future__ import annotations

import pytest

from portal.core.actors import CUSTOMER
from portal.core.db import hot, transaction
from portal.core.errors import ValidationFailed
from portal.orders.models import Direction
from portal.orders.queries import get_order
from portal.orders.service import choose_method
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


# What is asked for, and the field and the code that tell what is wrong with it.
NO_WAYS = [
    ("sepa", None, "method", "unknown"),
    ("card", "kaspi", "bank", "unknown"),
    ("sbp", None, "bank", "required"),
]


def problem(refused: pytest.ExceptionInfo[ValidationFailed]) -> tuple[str, str]:
    (found,) = refused.value.errors
    return found.field, found.code


@pytest.mark.parametrize(("method", "bank", "field", "code"), NO_WAYS)
@pytest.mark.parametrize("direction", Direction)
def test_an_order_of_the_domain_has_a_method_and_a_bank_that_can_be_used(
    scene: Scene, direction: Direction, method: str, bank: str | None, field: str, code: str
) -> None:
    scene.fund_store()
    recipient = Recipient(normalise("card", card_number(), "RUB"), "IVAN P.")
    with pytest.raises(ValidationFailed) as refused:
        scene.create(NewOrder(direction, 1500_00, "RUB", method=method, bank=bank, recipient=recipient))
    within = "" if direction is Direction.PAYIN else "recipient."
    assert problem(refused) == (f"{within}{field}", code)


def test_a_bank_belongs_to_a_method(scene: Scene) -> None:
    with pytest.raises(ValidationFailed) as refused:
        scene.payin(method=None, bank="sber")
    assert problem(refused) == ("method", "required")


@pytest.mark.parametrize(("method", "bank", "field", "code"), NO_WAYS)
def test_only_a_method_and_a_bank_that_can_be_used_are_chosen(
    scene: Scene, method: str, bank: str | None, field: str, code: str
) -> None:
    order = scene.payin(method=None)
    with pytest.raises(ValidationFailed) as refused, transaction():
        choose_method(get_order(order.id, lock=True), method, bank, actor=CUSTOMER)
    assert problem(refused) == (field, code)
    assert get_order(order.id).method is None
