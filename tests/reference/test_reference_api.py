"""`/api/v1/reference`: public, worth keeping, and never an old rate."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask

from portal.api.v1 import reference
from portal.core.actors import Actor, ActorKind
from portal.core.answer_cache import SharedAnswers
from portal.core.db import transaction
from portal.reference import service
from portal.reference.queries import current_rate

PATHS = ("currencies", "methods", "banks", "rates")


@pytest.mark.parametrize("path", PATHS)
def test_anybody_may_read_it_and_the_same_again_is_a_304(seeded: Flask, path: str) -> None:
    client = seeded.test_client()
    first = client.get(f"/api/v1/reference/{path}")
    assert first.status_code == 200
    assert first.json["data"]
    assert first.headers["Cache-Control"].startswith("public, max-age=")
    again = client.get(f"/api/v1/reference/{path}", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    other = client.get(f"/api/v1/reference/{path}", headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.data) == (200, first.data)


def test_methods_and_banks_are_those_of_the_currency(seeded: Flask) -> None:
    client = seeded.test_client()
    methods = client.get("/api/v1/reference/methods?currency=RUB").json["data"]
    card = next(method for method in methods if method["code"] == "card")
    assert (card["currency"], card["requisite_kind"], card["bank_required"]) == ("RUB", "card", False)
    assert (card["min_amount"], card["name"]["ru"]) == ("100.00", "Перевод на карту")
    banks = client.get("/api/v1/reference/banks?currency=RUB&method=card").json["data"]
    assert {"sber", "tbank", "alfa", "vtb"} <= {bank["code"] for bank in banks}
    assert {(bank["currency"], bank["method"]) for bank in banks} == {("RUB", "card")}
    assert client.get("/api/v1/reference/banks?currency=XXX").json["data"] == []


def test_a_wrong_query_is_named(seeded: Flask) -> None:
    client = seeded.test_client()
    unknown = client.get("/api/v1/reference/methods?curency=RUB")
    assert (unknown.status_code, unknown.json["code"]) == (400, "unknown_parameter")
    malformed = client.get("/api/v1/reference/methods?currency=rub")
    assert (malformed.status_code, malformed.json["errors"][0]["field"]) == (422, "currency")


def forget_answers() -> None:
    """As after the seconds for which an answer is kept."""
    SharedAnswers().clear()


def test_a_rate_is_shown_as_an_order_would_get_it_and_not_when_it_is_stale(
    fiat: str, seeded: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, path = seeded.test_client(), f"/api/v1/reference/rates?currency={fiat}"
    (nothing,) = client.get(path).json["data"]
    assert (nothing["payin"], nothing["payout"], nothing["observed_at"]) == (None, None, None)
    with transaction():
        service.change_terms("USDT", fiat, service.PairTerms(spread_bps=100, stale_after_s=60))
        service.set_rate("USDT", fiat, 95_000_000, Actor(ActorKind.ADMIN))
    forget_answers()
    (rate,) = client.get(path).json["data"]
    assert (rate["base"], rate["payin"], rate["payout"]) == ("USDT", "95.950000", "94.050000")
    later = current_rate(fiat, "USDT", "payin").observed_at + timedelta(seconds=61)
    monkeypatch.setattr(reference, "database_now", lambda: later)
    forget_answers()
    (stale,) = client.get(path).json["data"]
    assert (stale["payin"], stale["payout"]) == (None, None)
