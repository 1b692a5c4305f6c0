"""Idempotency-Key: rows 16 to 19 of the attack matrix, and the promises of the contract."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import pytest

from portal.core.db import hot, transaction
from portal.identity.models import Scope
from portal.orders.service import create
from portal.reference.errors import RateUnavailable
from tests.api.conftest import PAYIN, Shop, card_number, code_of


def test_row_16_a_missing_key_is_400(shop: Shop) -> None:
    before = shop.state()
    answer = shop.create(idem=None)
    assert (answer.status_code, code_of(answer)) == (400, "idempotency_key_missing")
    assert shop.state() == before


@pytest.mark.parametrize(
    "key", ["", "k" * 256, "k" * 300, "a b", "a\tb", "ключ".encode().decode("latin-1"), '""']
)
def test_row_16_a_malformed_key_is_400(shop: Shop, key: str) -> None:
    before = shop.state()
    answer = shop.create(idem=key)
    assert (answer.status_code, code_of(answer)) == (400, "idempotency_key_malformed")
    assert shop.state() == before


def test_row_16_two_keys_are_none(shop: Shop) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b"), ("Authorization", f"Bearer {shop.key}")]
    answer = shop.app.test_client().post("/api/v1/orders", json=PAYIN, headers=headers)
    assert code_of(answer) == "idempotency_key_malformed"


def test_row_16_a_quoted_key_is_the_same_key(shop: Shop) -> None:
    bare, quoted = shop.create(idem="k" * 255), shop.create(idem=f'"{"k" * 255}"')
    assert (bare.status_code, quoted.status_code) == (201, 201)
    assert quoted.headers["Idempotent-Replayed"] == "true"
    assert quoted.data == bare.data


def test_the_same_call_again_gives_the_same_answer(served: Shop) -> None:
    first = served.create(idem="once", external_id="e-1")
    again = served.create(idem="once", external_id="e-1")
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (again.status_code, again.data) == (201, first.data)
    assert served.count_orders() == 1


def test_the_answer_stays_what_it_was_when_the_order_moves_on(served: Shop) -> None:
    first = served.create(idem="once")
    served.drive(first.json or {}, "pay")
    assert served.create(idem="once").data == first.data


def test_the_number_is_not_kept_in_the_clear_beside_the_answer(served: Shop) -> None:
    number = (served.create(idem="once").json or {})["requisite"]["number"]
    with transaction():
        kept = hot(
            "SELECT answer, secret FROM idempotency_key WHERE key = 'once' AND store_id = %(id)s",
            {"id": served.store_id},
        )
    assert number not in kept[0]["answer"]
    assert number.encode() not in bytes(kept[0]["secret"])


def test_an_answer_is_replayed_when_no_rate_is_left_to_make_another(
    served: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = served.create(idem="once")

    def stale(*_: object) -> None:
        raise RateUnavailable()

    monkeypatch.setattr(create, "current_rate", stale)
    assert code_of(served.create(idem="another")) == "rate_unavailable"
    again = served.create(idem="once")
    assert (again.status_code, again.data) == (201, first.data)
    assert again.headers["Idempotent-Replayed"] == "true"


def test_blanks_order_and_nulls_do_not_make_another_body(shop: Shop) -> None:
    first = shop.create(idem="once")
    text = ' {"method" : "card","currency":"RUB", "bank":null,"amount":"1500.00","direction":"payin" } '
    again = shop.call("POST", "/api/v1/orders", raw=text, headers={"Idempotency-Key": "once"})
    assert (again.status_code, again.data) == (201, first.data)


def test_row_17_the_same_key_with_another_body_is_422(shop: Shop) -> None:
    shop.create(idem="once")
    before = shop.state()
    answer = shop.create(idem="once", amount="1501.00")
    assert (answer.status_code, code_of(answer)) == (422, "idempotency_key_reused")
    assert shop.state() == before


def test_row_17_the_same_key_on_another_path_is_another_call(shop: Shop) -> None:
    one, two = shop.order(), shop.order(amount="1501.00")
    first = shop.post(f"/api/v1/orders/{one['id']}/cancel", {}, idem="once")
    second = shop.post(f"/api/v1/orders/{two['id']}/cancel", {}, idem="once")
    assert [(first.json or {})["id"], (second.json or {})["id"]] == [one["id"], two["id"]]
    assert "Idempotent-Replayed" not in second.headers


def test_row_17_another_stores_key_is_another_call(shop: Shop, other_shop: Shop) -> None:
    mine, theirs = shop.create(idem="once"), other_shop.create(idem="once", amount="7777.00")
    assert (mine.status_code, theirs.status_code) == (201, 201)
    assert (theirs.json or {})["amount"] == "7777.00"


def test_row_17_live_and_test_do_not_share_keys(shop: Shop) -> None:
    test = shop.create(idem="once")
    live = shop.post("/api/v1/orders", PAYIN | {"amount": "1502.00"}, idem="once", key=shop.live_key)
    assert (test.status_code, live.status_code) == (201, 201)


def test_a_refused_body_leaves_its_key_free(shop: Shop) -> None:
    assert shop.create(idem="once", amount="nonsense").status_code == 422
    assert shop.create(idem="once").status_code == 201


def test_row_19_an_external_id_again_is_409_with_the_first_order(shop: Shop) -> None:
    first = shop.order(external_id="shop-1")
    before = shop.state()
    answer = shop.create(external_id="shop-1", amount="9000.00")
    assert (answer.status_code, code_of(answer)) == (409, "duplicate_external_id")
    assert (answer.json or {})["order_id"] == first["id"]
    assert shop.state() == before


def test_row_19_external_ids_are_the_stores_own_and_the_modes_own(shop: Shop, other_shop: Shop) -> None:
    shop.order(external_id="shop-1")
    assert other_shop.create(external_id="shop-1").status_code == 201
    live = shop.post("/api/v1/orders", PAYIN | {"external_id": "shop-1"}, key=shop.live_key)
    assert live.status_code == 201


def _at_once(count: int, call: Callable[[int], tuple[int, str]]) -> list[tuple[int, str]]:
    barrier, answers = threading.Barrier(count), []

    def run(number: int) -> None:
        barrier.wait()
        answers.append(call(number))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == count
    return answers


@pytest.mark.races
def test_row_18_fifty_creates_with_one_key_make_one_order(served: Shop) -> None:
    for turn in range(3):
        before = served.count_orders()

        def create(_: int, key: str = f"turn-{turn}", amount: str = f"{2000 + turn}.00") -> tuple[int, str]:
            answer = served.create(idem=key, amount=amount)
            return answer.status_code, (answer.json or {}).get("id") or code_of(answer)

        answers = _at_once(50, create)
        assert served.count_orders() == before + 1
        assert {status for status, _ in answers} <= {201, 409, 503}, Counter(answers)
        assert len({made for status, made in answers if status == 201}) == 1
        assert {code for status, code in answers if status == 409} <= {"idempotency_in_progress"}
        with transaction():
            sql = "SELECT count(*) AS n FROM idempotency_key WHERE store_id = %(id)s AND key = %(key)s"
            assert hot(sql, {"id": served.store_id, "key": f"turn-{turn}"})[0]["n"] == 1


@pytest.mark.races
def test_row_19_twenty_creates_with_one_external_id_make_one_order(shop: Shop) -> None:
    def create(number: int) -> tuple[int, str]:
        answer = shop.create(external_id="same", amount=f"{3000 + number}.00")
        return answer.status_code, "" if answer.status_code == 201 else code_of(answer)

    answers = Counter(_at_once(20, create))
    assert answers[201, ""] == 1, answers
    assert set(answers) <= {(201, ""), (409, "duplicate_external_id"), (503, "unavailable")}
    assert shop.count_orders() == 1


def test_a_twin_in_flight_is_told_so_at_once(shop: Shop) -> None:
    """The key's lock is held by a transaction that has not ended: the second call does not wait for it."""
    from portal.api.authentication import Caller
    from portal.api.idempotency import call_of
    from portal.api.v1.orders_schemas import CreateOrder
    from portal.core.actors import Actor, ActorKind
    from portal.core.idempotency import begin_call
    from portal.core.modes import Mode
    from portal.merchants.queries import get_store

    caller = Caller(get_store(shop.store_id), Mode.TEST, frozenset(Scope), Actor(ActorKind.MERCHANT), "")
    with shop.app.test_request_context("/api/v1/orders", method="POST"):
        call = call_of(caller, "once", CreateOrder(**PAYIN).model_dump(exclude_none=True))
    with transaction():
        begin_call(call)
        answers = _at_once(1, lambda _: _status_and_wait(shop))
    assert answers == [(409, "idempotency_in_progress 1")]
    assert shop.create(idem="once").status_code == 201


def _status_and_wait(shop: Shop) -> tuple[int, str]:
    answer = shop.create(idem="once")
    return answer.status_code, f"{code_of(answer)} {answer.headers.get('Retry-After')}"


def test_verbs_that_move_money_want_a_key_and_answer_once(served: Shop) -> None:
    order = served.order()
    path = f"/api/v1/orders/{order['id']}/cancel"
    assert code_of(served.post(path, {}, idem=None)) == "idempotency_key_missing"
    first, again = served.post(path, {"reason": "x"}, idem="c"), served.post(path, {"reason": "x"}, idem="c")
    assert (first.json or {})["status"] == "cancelled"
    assert (again.data, again.headers["Idempotent-Replayed"]) == (first.data, "true")
    assert code_of(served.post(path, {"reason": "y"}, idem="c")) == "idempotency_key_reused"


def test_a_refusal_stays_one_under_its_key_when_the_money_has_come_since(shop: Shop) -> None:
    recipient = {"method": "card", "bank": "sber", "number": card_number(), "holder": "IVAN P."}
    payout = {"direction": "payout", "amount": "950.00", "currency": "RUB", "recipient": recipient}
    refused = shop.post("/api/v1/orders", payout, idem="payout")
    assert (refused.status_code, code_of(refused)) == (409, "insufficient_funds")
    shop.fund()
    again = shop.post("/api/v1/orders", payout, idem="payout")
    assert (again.status_code, again.data) == (409, refused.data)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Content-Type"] == "application/problem+json"
    assert shop.count_orders() == 0
    assert shop.post("/api/v1/orders", payout, idem="another").status_code == 201
