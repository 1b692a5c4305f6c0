"""Who gets in and to what: keys, scopes, modes, networks (rows 55 to 57 of the attack matrix), other people's things."""

from __future__ import annotations

import io
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from portal.api import authentication
from portal.api.operations import Operation, operation_of
from portal.core.actors import SYSTEM
from portal.core.db import transaction
from portal.core.ids import new_id, public_id
from portal.core.modes import Mode
from portal.identity.models import ApiKey, Scope
from portal.identity.tokens.api_keys import (
    find_key,
    issue_api_key,
    list_api_keys,
    revoke_api_key,
    rotate_api_key,
)
from portal.reference import configuration as config
from portal.reference import setting_changes
from portal.webhooks.service import EndpointUrl, set_endpoint
from tests.api.conftest import PAYIN, Shop, code_of


def test_without_a_key_nobody_gets_in(shop: Shop) -> None:
    answer = shop.get("/api/v1/balances", key=None)
    assert (answer.status_code, code_of(answer)) == (401, "missing_credentials")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "header",
    ["Basic dXNlcjpwYXNz", "Bearer", "Bearer ", "nst_test_x", "Bearer nst_test_", "Bearer nst_test_" + "x" * 43,
     "Bearer " + "x" * 5000, "Bearer a.b.c", "Bearer nst_test_\xff"],
)  # fmt: skip
def test_credentials_that_are_none_are_401(shop: Shop, header: str) -> None:
    answer = shop.get("/api/v1/balances", key=None, headers={"Authorization": header})
    assert (answer.status_code, code_of(answer)) == (401, "invalid_credentials")


@pytest.mark.proves("attack 55")
@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded"])
def test_row_55_nobody_says_for_themselves_where_they_come_from(shop: Shop, header: str) -> None:
    key = shop.key_with(*Scope, allowed_networks=["203.0.113.0/24"])
    answer = shop.get("/api/v1/balances", key=key, headers={header: "203.0.113.7"})
    assert (answer.status_code, code_of(answer)) == (403, "network_not_allowed")


@pytest.mark.proves("attack 55")
@pytest.mark.parametrize("header", ["X-User-Id", "X-Original-URL", "X-Rewrite-URL", "X-Http-Method-Override"])
def test_row_55_headers_for_proxies_open_nothing(shop: Shop, header: str) -> None:
    assert (
        shop.get("/api/v1/balances", key=None, headers={header: "/api/v1/reference/currencies"}).status_code
        == 401
    )


@pytest.mark.proves("attack 56", "ASVS 38")
def test_row_56_a_key_in_the_address_is_refused(shop: Shop) -> None:
    answer = shop.get(f"/api/v1/balances?api_key={shop.key}", key=None)
    assert (answer.status_code, code_of(answer)) == (400, "credentials_in_query")
    assert shop.key not in answer.text


@pytest.mark.proves("attack 56")
def test_row_56_a_revoked_key_is_dead_at_once(shop: Shop) -> None:
    assert shop.get("/api/v1/balances").status_code == 200
    key = next(key for key in list_api_keys(shop.store_id) if key.mode == "test")
    with transaction():
        revoke_api_key(shop.store_id, key.id)
    answer = shop.get("/api/v1/balances")
    assert (answer.status_code, code_of(answer)) == (401, "invalid_credentials")


@pytest.mark.proves("attack 56")
def test_row_56_another_process_hears_of_a_revocation_within_a_second(shop: Shop) -> None:
    """Another process is played by a second memory that only Redis connects with the first."""
    from portal.core.cache import Cache

    here: Cache[str] = Cache("test")
    there: Cache[str] = Cache("test")
    there.put(there.page(), b"k", "remembered")
    assert there.find(there.page(), b"k", 60) == "remembered"
    here.forget()
    there._look_at = 0.0  # a second later
    assert there.find(there.page(), b"k", 60) is None


def test_what_was_read_before_a_revocation_cannot_be_remembered_after_it(shop: Shop) -> None:
    from portal.core.cache import Cache

    memory: Cache[str] = Cache("test")
    page = memory.page()
    memory.forget()
    memory.put(page, b"k", "read before")
    assert memory.find(memory.page(), b"k", 60) is None


@pytest.mark.proves("attack 56")
def test_row_56_an_expired_key_is_dead(shop: Shop) -> None:
    key = shop.key_with(*Scope, expires_at=datetime.now(UTC) + timedelta(hours=1))
    assert shop.get("/api/v1/balances", key=key).status_code == 200
    found = find_key(key, 60)
    assert found is not None
    assert not found.is_expired(datetime.now(UTC))
    assert found.is_expired(datetime.now(UTC) + timedelta(hours=1))
    with transaction():
        stored = ApiKey.query.filter_by(id=found.id).one()
        stored.expires_at = datetime.now(UTC) - timedelta(seconds=1)
        rotated = revoke_cache(shop)
    assert rotated
    assert shop.get("/api/v1/balances", key=key).status_code == 401


def revoke_cache(shop: Shop) -> bool:
    """Change another key of the store, which tears the page of remembered keys out."""
    key, _ = issue_api_key(shop.store_id, Mode.TEST, "short-lived")
    return revoke_api_key(shop.store_id, key.id).revoked_at is not None


def test_a_rotated_key_and_its_successor_both_work_for_a_while(shop: Shop) -> None:
    former = next(key for key in list_api_keys(shop.store_id) if key.mode == "test")
    with transaction():
        successor, secret = rotate_api_key(shop.store_id, former.id)
    assert (successor.scopes, successor.mode) == (former.scopes, former.mode)
    assert shop.get("/api/v1/balances").status_code == 200
    assert shop.get("/api/v1/balances", key=secret).status_code == 200
    assert former.expires_at is not None
    assert timedelta(hours=23) < former.expires_at - datetime.now(UTC) <= timedelta(hours=24)


def test_a_key_is_stored_as_its_hash_alone(shop: Shop) -> None:
    for key in list_api_keys(shop.store_id):
        assert shop.key not in str(vars(key))
        assert len(key.secret_hash) == 32


CALLS: list[tuple[Scope, Callable[[Shop, str], int]]] = [
    (Scope.ORDERS_WRITE, lambda s, key: s.post("/api/v1/orders", PAYIN, key=key).status_code),
    (Scope.ORDERS_READ, lambda s, key: s.get("/api/v1/orders", key=key).status_code),
    (Scope.ORDERS_READ, lambda s, key: s.get(f"/api/v1/orders/{s.order()['id']}", key=key).status_code),
    (
        Scope.ORDERS_READ,
        lambda s, key: (
            s.get("/api/v1/availability?direction=payin&currency=RUB&amount=100.00", key=key).status_code
        ),
    ),
    (Scope.BALANCES_READ, lambda s, key: s.get("/api/v1/balances", key=key).status_code),
    (Scope.BALANCES_READ, lambda s, key: s.get("/api/v1/balances/entries", key=key).status_code),
    (Scope.WEBHOOKS_WRITE, lambda s, key: s.get("/api/v1/webhook-endpoints", key=key).status_code),
    (
        Scope.ORDERS_WRITE,
        lambda s, key: s.post(f"/api/v1/orders/{s.order()['id']}/cancel", {}, key=key).status_code,
    ),
]


@pytest.mark.proves("attack 56")
@pytest.mark.parametrize(("scope", "call"), CALLS)
def test_row_56_each_call_needs_its_scope_and_no_other(
    shop: Shop, scope: Scope, call: Callable[[Shop, str], int]
) -> None:
    assert call(shop, shop.key_with(*(other for other in Scope if other is not scope))) == 403
    assert call(shop, shop.key_with(scope)) in {200, 201}


@pytest.mark.proves("attack 56")
def test_row_56_the_missing_scope_is_named(shop: Shop) -> None:
    answer = shop.get("/api/v1/balances", key=shop.key_with(Scope.ORDERS_READ))
    assert (code_of(answer), (answer.json or {})["scope"]) == ("missing_scope", "balances:read")


@pytest.mark.proves("attack 56")
def test_row_56_a_payout_needs_a_scope_of_its_own(shop: Shop) -> None:
    before = shop.state()
    recipient = {"method": "card", "number": "4111111111111111", "holder": "A"}
    body = {"direction": "payout", "amount": "500.00", "currency": "RUB", "recipient": recipient}
    answer = shop.post("/api/v1/orders", body, key=shop.key_with(Scope.ORDERS_WRITE))
    assert (code_of(answer), (answer.json or {})["scope"]) == ("missing_scope", "payouts:write")
    assert shop.state() == before


@pytest.mark.proves("attack 56")
def test_row_56_live_and_test_never_meet(served: Shop) -> None:
    order = served.order()
    assert order["mode"] == "test"
    answer = served.get(f"/api/v1/orders/{order['id']}", key=served.live_key)
    assert (answer.status_code, code_of(answer)) == (404, "not_found")
    assert (served.get("/api/v1/orders", key=served.live_key).json or {})["data"] == []
    assert (served.get("/api/v1/balances", key=served.live_key).json or {})["mode"] == "live"


@pytest.mark.proves("attack 56")
def test_row_56_a_live_key_drives_nothing(served: Shop) -> None:
    order = served.order()
    before = served.state()
    for path, body in (
        (f"/api/v1/test/orders/{order['id']}/pay", {}),
        ("/api/v1/test/clock", {"order_id": order["id"], "seconds": 5}),
    ):
        answer = served.post(path, body, key=served.live_key, idem=None)
        assert (answer.status_code, code_of(answer)) == (403, "test_mode_only")
    assert served.state() == before


@pytest.mark.proves("attack 57")
def test_row_57_who_guesses_keys_has_to_wait(shop: Shop) -> None:
    for number in range(authentication.FAILED_CREDENTIALS_PER_MINUTE):
        assert shop.get("/api/v1/balances", key=f"nst_test_{number:043d}").status_code == 401
    answer = shop.get("/api/v1/balances", key="nst_test_" + "y" * 43)
    assert (answer.status_code, code_of(answer)) == (429, "rate_limited")
    assert int(answer.headers["Retry-After"]) >= 1


def guess(shop: Shop, number: int, **more: Any) -> int:
    return shop.get("/api/v1/balances", key=f"nst_test_{number:043d}", **more).status_code


@pytest.mark.proves("tried S10")
def test_who_guesses_keys_keeps_no_valid_key_of_the_same_network_out(shop: Shop) -> None:
    token = shop.post(
        "/merchant/auth/token",
        {"grant_type": "client_credentials", "client_secret": shop.key},
        key=None,
        idem=None,
    ).json
    codes = [guess(shop, number) for number in range(70)]
    assert codes == [401] * 30 + [429] * 40
    assert shop.get("/api/v1/balances").status_code == 200
    assert shop.get("/api/v1/balances", key=(token or {})["access_token"]).status_code == 200
    for grant in (
        {"grant_type": "client_credentials", "client_secret": shop.key},
        {"grant_type": "refresh_token", "refresh_token": (token or {})["refresh_token"]},
    ):
        answer = shop.post("/merchant/auth/token", grant, key=None, idem=None)
        assert answer.status_code == 200, answer.json
    assert guess(shop, 71) == 429


@pytest.mark.proves("tried S10")
def test_who_guesses_keys_for_tokens_keeps_no_valid_key_out(shop: Shop) -> None:
    def buy(secret: str) -> int:
        body = {"grant_type": "client_credentials", "client_secret": secret}
        return shop.post("/merchant/auth/token", body, key=None, idem=None).status_code

    codes = [buy(f"nst_test_{number:043d}") for number in range(140)]
    assert codes == [401] * 30 + [429] * 110
    assert buy(shop.key) == 200
    assert shop.get("/api/v1/balances").status_code == 200


@pytest.mark.proves("tried S16")
def test_keys_guessed_from_one_ipv6_network_are_counted_together(shop: Shop) -> None:
    def at(number: int) -> dict[str, Any]:
        return {"environ_overrides": {"REMOTE_ADDR": f"2001:db8:5:6::{number:x}"}}

    codes = [guess(shop, number, **at(number)) for number in range(1, 33)]
    assert codes == [401] * 30 + [429] * 2
    assert shop.get("/api/v1/balances", **at(1)).status_code == 200
    assert guess(shop, 99, environ_overrides={"REMOTE_ADDR": "2001:db8:5:7::1"}) == 401


def test_a_closed_store_is_closed_to_its_keys(shop: Shop) -> None:
    from portal.merchants.models import Store
    from portal.merchants.queries import stores

    with transaction():
        Store.query.filter_by(id=shop.store_id).update({"is_active": False})
        stores.changed()
    answer = shop.get("/api/v1/balances")
    assert (answer.status_code, code_of(answer)) == (403, "store_closed")


@pytest.mark.proves("ASVS 8")
def test_the_limit_of_a_key_is_counted_and_told(shop: Shop, request: pytest.FixtureRequest) -> None:
    def set_limit(value: int) -> None:
        with transaction():
            setting_changes.set_value(config.API_REQUESTS_PER_MINUTE.key, value, SYSTEM)

    def reset() -> None:
        with shop.app.app_context(), transaction():
            setting_changes.reset(config.API_REQUESTS_PER_MINUTE.key, SYSTEM)

    request.addfinalizer(reset)
    set_limit(10)
    authentication.callers.forget()
    key = shop.key_with(*Scope)
    answers = [shop.get("/api/v1/balances", key=key) for _ in range(25)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) == 15
    assert [answer.headers["RateLimit-Limit"] for answer in answers] == ["10"] * 25
    assert refused[0].headers["RateLimit-Remaining"] == "0"
    assert 1 <= int(refused[0].headers["Retry-After"]) <= 60
    assert shop.get("/api/v1/balances").status_code == 200  # another key is not held up


def test_two_processes_count_together() -> None:
    from portal.core.limits import RequestCounter

    name = uuid.uuid4().hex
    one, two = RequestCounter(name), RequestCounter(name)
    for _ in range(5):
        one._sync_at = two._sync_at = 0.0
        one.hit("k", 8)
        last = two.hit("k", 8)
    assert last.is_exceeded


def test_processes_count_together_when_the_wall_clock_was_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    from portal.core import limits

    wall, passed = time.time(), time.monotonic()
    name = uuid.uuid4().hex
    one, two = limits.RequestCounter(name), limits.RequestCounter(name)
    for now, seconds in ((wall, 0), (wall - 3600, 1), (wall - 3600, 2)):
        clock = SimpleNamespace(time=lambda now=now: now, monotonic=lambda seconds=seconds: passed + seconds)
        monkeypatch.setattr(limits, "time", clock)
        one.count("k", 3)
        counted = two.count("k")
    assert counted == 8


def test_without_redis_each_process_still_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    import redis

    from portal.core import limits
    from portal.core import redis as clients

    dead = redis.Redis(unix_socket_path="/nonexistent/redis.sock")
    monkeypatch.setattr(clients, "_shared", lambda _url, _timeout_s: dead)
    counter = limits.RequestCounter(uuid.uuid4().hex)
    allowances = [counter.hit("k", 5) for _ in range(12)]
    assert [allowance.is_exceeded for allowance in allowances] == [False] * 5 + [True] * 7


def calls_of_one_thing(app: Flask) -> Iterator[tuple[str, str, Operation]]:
    """Method, path with `{order_id}` and the like, and declaration of every call that names a thing: the URL map's."""
    for rule in app.url_map.iter_rules():
        declared = operation_of(app.view_functions[rule.endpoint])
        if declared is None or not rule.rule.startswith("/api/v1/"):
            continue
        names_in_body = set(declared.body.model_fields) & {"order_id"} if declared.body is not None else set()
        if not rule.arguments and not names_in_body:
            continue
        path = rule.rule.replace("<", "{").replace(">", "}")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            for words in product(*declared.path_choices.values()):
                chosen = dict(zip(declared.path_choices, words, strict=True))
                yield method, path.format_map(Kept(chosen)), declared


class Kept(dict[str, str]):
    """What is not filled in stays as it is."""

    def __missing__(self, name: str) -> str:
        return f"{{{name}}}"


def ask(asker: Shop, method: str, path: str, declared: Operation, ids: dict[str, str]) -> TestResponse:
    """The call with a body that is good (the one of the OpenAPI document), about the thing with these ids."""
    options: dict[str, Any] = {"headers": {"Idempotency-Key": uuid.uuid4().hex}}
    if declared.multipart is not None:
        options |= {
            "data": {"file": (io.BytesIO(b"not an image"), "r.png")},
            "content_type": "multipart/form-data",
        }
    elif declared.body is not None:
        example = dict(declared.example or {})
        options["body"] = example | {name: ids[name] for name in ids.keys() & example.keys()}
    return asker.call(method, path.format_map(ids), **options)


@pytest.mark.proves("attack 61")
@pytest.mark.parametrize("whose", ["a stranger's", "nobody's", "no id"])
def test_row_61_what_is_not_yours_is_not_there(served: Shop, other_shop: Shop, whose: str) -> None:
    """By every route there is: one that comes and names a thing in its path is asked here from its first day."""
    with transaction():
        endpoint, _ = set_endpoint(served.store_id, Mode.TEST, EndpointUrl("https://shop.example/hook"))
    ids = {
        "a stranger's": {"order_id": served.order()["id"], "endpoint_id": public_id("whe", endpoint.id)},
        "nobody's": {"order_id": public_id("ord", new_id()), "endpoint_id": public_id("whe", new_id())},
        "no id": {"order_id": "ord_%27--", "endpoint_id": str(uuid.uuid4())},
    }[whose]
    before, asked, wrong = served.state(), [], []
    for method, path, declared in calls_of_one_thing(served.app):
        answer = ask(other_shop, method, path, declared, ids)
        asked.append(path)
        code = (answer.json or {}).get("code")
        if (answer.status_code, code) != (404, "not_found") or "store" in answer.text.replace("restored", ""):
            wrong.append((method, path, answer.status_code, code))
    assert wrong == []
    assert served.state() == before
    assert {"/api/v1/orders/{order_id}/disputes", "/api/v1/webhook-endpoints/{endpoint_id}/verify"} <= {
        *asked
    }
    assert {"/api/v1/test/clock", "/api/v1/test/orders/{order_id}/expire"} <= {*asked}
    assert len(asked) >= 19


@pytest.mark.proves("attack 63")
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("PUT", "/api/v1/orders", 405), ("PATCH", "/api/v1/orders/ord_1", 405), ("DELETE", "/api/v1/orders/ord_1", 405),
     ("OPTIONS", "/api/v1/orders", 405), ("TRACE", "/api/v1/orders", 405), ("GET", "/api/v1/orders/", 404),
     ("GET", "/api/v1/ORDERS", 404), ("GET", "/api/v1/orders;a=1", 404), ("GET", "/api/v1/%2e%2e/orders", 404),
     ("POST", "/api/v1/balances", 405), ("GET", "/api/v1", 404), ("GET", "/api/v2/orders", 404), ("GET", "/api/", 404),
     ("GET", "/merchant/auth/token", 405), ("GET", "/merchant/auth/other", 404)],
)  # fmt: skip
def test_row_63_other_spellings_and_methods_are_problems(
    shop: Shop, method: str, path: str, status: int
) -> None:
    answer = shop.call(method, path)
    assert answer.status_code == status
    code_of(answer)


def test_a_head_is_a_get_without_a_body(shop: Shop) -> None:
    assert shop.call("HEAD", "/api/v1/balances").status_code == 200
    assert shop.call("HEAD", "/api/v1/balances", key=None).status_code == 401


def test_row_91_no_other_origin_is_let_in(shop: Shop) -> None:
    answer = shop.get("/api/v1/balances", headers={"Origin": "null"})
    assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]
