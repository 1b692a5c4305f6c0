"""`POST /orders/{id}/disputes`: a store objects, once, in its time, for a reason of the closed list."""

from __future__ import annotations

import pytest

from portal.core.actors import SYSTEM
from portal.core.db import hot, transaction
from portal.identity.models import Scope
from portal.reference import configuration as config
from portal.reference import setting_changes
from tests.api.conftest import Shop, field_codes, order_uuid

pytestmark = pytest.mark.proves("tried S4")
OBJECTION = {"reason": "payout_not_received", "words": "The bank shows nothing."}


def path_of(order: dict[str, str]) -> str:
    return f"/api/v1/orders/{order['id']}/disputes"


def paid(shop: Shop, amount: str = "1500.00") -> dict[str, str]:
    shop.fund()
    return dict(shop.drive(shop.payout(amount), "pay").json or {})


def cases_of(order: dict[str, str]) -> int:
    with transaction():
        sql = "SELECT count(*) AS n FROM dispute WHERE order_id = %(id)s"
        return int(hot(sql, {"id": order_uuid(order)})[0]["n"])


def test_a_store_objects_to_a_payout_that_did_not_arrive_once(served: Shop) -> None:
    order = paid(served)
    first = served.post(path_of(order), OBJECTION, idem="objection-1")
    again = served.post(path_of(order), OBJECTION, idem="objection-1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert (first.json, again.headers["Idempotent-Replayed"]) == (again.json, "true")
    told = first.json or {}
    assert (told["object"], told["order_id"], told["reason"], told["words"], told["opened_by"], told["outcome"]) == (
        "dispute", order["id"], "payout_not_received", "The bank shows nothing.", "merchant", None,
    )  # fmt: skip
    assert told["order"]["status"] == "disputed"
    refused = served.post(path_of(order), OBJECTION)
    assert (refused.status_code, (refused.json or {})["code"]) == (409, "dispute_open")
    assert served.drive(order, "expire").status_code == 409
    assert cases_of(order) == 1


def test_after_it_is_completed_there_is_nothing_to_object_to(served: Shop) -> None:
    order = paid(served)
    assert (served.drive(order, "expire").json or {})["status"] == "completed"
    refused = served.post(path_of(order), OBJECTION)
    assert (refused.status_code, (refused.json or {})["code"]) == (409, "invalid_transition")
    assert cases_of(order) == 0


def test_silence_over_a_large_payout_is_a_dispute_by_itself(served: Shop) -> None:
    order = paid(served, "19000.01")
    assert (served.drive(order, "expire").json or {})["status"] == "disputed"


def test_a_test_payout_does_not_depend_on_what_silence_completed_for_other_shops(served: Shop) -> None:
    with transaction():
        setting_changes.set_value(config.PAYOUT_SILENCE_TRADER_DAY_MINOR.key, 0, SYSTEM)
    assert (served.drive(paid(served), "expire").json or {})["status"] == "completed"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"reason": "i_want_to"}, "reason"),
        ({"words": "no reason"}, "reason"),
        ({"reason": "other"}, "words"),
        ({"reason": "other", "words": ""}, "words"),
        ({"reason": "other", "words": "x" * 1001}, "words"),
        ({"reason": "paid_another_amount", "amount_claimed": "1.999"}, "amount"),
        ({"reason": "paid_another_amount", "amount_claimed": 5}, "amount_claimed"),
        ({"reason": "other", "words": "x", "money": "all"}, "money"),
    ],
)
def test_an_objection_without_sense_is_refused(served: Shop, body: dict[str, object], field: str) -> None:
    order = paid(served)
    assert field in field_codes(served.post(path_of(order), body))
    assert cases_of(order) == 0


def test_it_takes_a_key_for_repeating_and_one_that_may_write(served: Shop) -> None:
    order = paid(served)
    assert served.post(path_of(order), OBJECTION, idem=None).status_code == 400
    reader = served.key_with(Scope.ORDERS_READ)
    assert served.post(path_of(order), OBJECTION, key=reader).status_code == 403
    assert served.post("/api/v1/orders/ord_x/disputes", OBJECTION).status_code == 404
    assert cases_of(order) == 0


def test_a_payin_that_waits_can_be_disputed_too(served: Shop) -> None:
    order = served.order()
    served.drive(order, "pay")
    told = served.post(path_of(order), {"reason": "not_confirmed", "amount_claimed": "1400.00"})
    assert (told.status_code, (told.json or {})["order"]["status"]) == (201, "disputed")
