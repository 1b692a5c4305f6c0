"""`POST /merchant/auth/token`: grants, rotation, and tokens that are not ours (row 59 of the attack matrix)."""

from __future__ import annotations

import base64
import json
import threading
import time
import uuid
from typing import Any

import jwt
import pytest

from portal.api import access_tokens
from portal.core.actors import SYSTEM
from portal.core.db import db, transaction
from portal.core.modes import Mode
from portal.identity.models import RefreshToken, Role, Scope, User
from portal.identity.people.models import MerchantMember
from portal.identity.service import create_user
from portal.identity.tokens.api_keys import find_key, revoke_api_key
from portal.merchants.models import Store
from portal.merchants.service import NewStore, create_store
from portal.settings import get_settings
from tests.api.conftest import Shop, code_of, field_codes

PASSWORD = "correct horse battery staple"


def ask(shop: Shop, **body: Any) -> Any:
    return shop.post("/merchant/auth/token", body, key=None, idem=None)


@pytest.fixture
def person(shop: Shop) -> User:
    with transaction():
        user = create_user(f"{uuid.uuid4().hex}@example.test", "Mia", PASSWORD, [Role.MERCHANT])
        store = db.session.get_one(Store, shop.store_id)
        db.session.add(MerchantMember(merchant_id=store.merchant_id, user_id=user.id))
        db.session.flush()
    return user


def by_key(shop: Shop, key: str | None = None) -> dict[str, Any]:
    answer = ask(shop, grant_type="client_credentials", client_secret=key or shop.key)
    assert answer.status_code == 200, answer.json
    return dict(answer.json)


def by_password(shop: Shop, person: User, **more: Any) -> Any:
    return ask(shop, grant_type="password", email=person.email, password=PASSWORD, **more)


def test_a_key_buys_a_token_that_may_do_what_the_key_may(shop: Shop) -> None:
    key = shop.key_with(Scope.BALANCES_READ)
    granted = by_key(shop, key)
    assert (granted["token_type"], granted["expires_in"], granted["mode"]) == ("Bearer", 900, "test")
    assert granted["scope"] == "balances:read"
    assert shop.get("/api/v1/balances", key=granted["access_token"]).status_code == 200
    assert code_of(shop.get("/api/v1/orders", key=granted["access_token"])) == "missing_scope"


def test_a_person_gets_a_token_for_their_only_store(shop: Shop, person: User) -> None:
    granted = by_password(shop, person).json
    assert granted["mode"] == "live"
    assert (shop.get("/api/v1/balances", key=granted["access_token"]).json or {})["mode"] == "live"


def test_a_person_chooses_mode_and_store(shop: Shop, person: User) -> None:
    assert by_password(shop, person, mode="test").json["mode"] == "test"
    with transaction():
        merchant_id = db.session.get_one(Store, shop.store_id).merchant_id
        create_store(merchant_id, NewStore("Second"), actor=SYSTEM)
    answer = by_password(shop, person)
    assert field_codes(answer) == {"store_id": "required"}
    named = answer.json["detail"].rsplit(": ", 1)[1].rstrip(".").split(", ")
    assert len(named) == 2
    assert by_password(shop, person, store_id=named[1]).json["store_id"] == named[1]


def test_a_strangers_store_can_not_be_chosen(shop: Shop, person: User, other_shop: Shop) -> None:
    from portal.core.ids import public_id

    answer = by_password(shop, person, store_id=public_id("st", other_shop.store_id))
    assert field_codes(answer) == {"store_id": "unknown"}
    assert public_id("st", other_shop.store_id) not in answer.text


@pytest.mark.parametrize("wrong", ["password", "email", "inactive", "no store"])
def test_every_wrong_sign_in_looks_alike(shop: Shop, person: User, wrong: str) -> None:
    body = {"email": person.email, "password": PASSWORD}
    with transaction():
        user = db.session.get_one(User, person.id)
        if wrong == "inactive":
            user.is_active = False
        elif wrong == "no store":
            MerchantMember.query.filter_by(user_id=user.id).delete()
        elif wrong == "email":
            body["email"] = f"{uuid.uuid4().hex}@example.test"
        else:
            body["password"] = "wrong"
        db.session.flush()
    answer = ask(shop, grant_type="password", **body)
    assert (answer.status_code, code_of(answer)) == (401, "invalid_credentials")
    assert answer.json["detail"] == "The credentials are not valid, or not any more."


def test_wrong_client_credentials_are_401(shop: Shop) -> None:
    for secret in ("nst_test_" + "x" * 43, "x", shop.key[:-1]):
        assert ask(shop, grant_type="client_credentials", client_secret=secret).status_code == 401
    assert (
        ask(shop, grant_type="client_credentials", client_secret=shop.key, client_id="st_1").status_code
        == 401
    )


@pytest.mark.parametrize("grant", ["", "implicit", "urn:ietf:params:oauth:grant-type:jwt-bearer"])
def test_another_grant_is_400(shop: Shop, grant: str) -> None:
    assert code_of(ask(shop, grant_type=grant)) == "unsupported_grant"


def test_what_a_grant_needs_is_named(shop: Shop) -> None:
    assert field_codes(ask(shop, grant_type="password", email="a@b.test")) == {"password": "required"}
    assert field_codes(ask(shop, grant_type="refresh_token")) == {"refresh_token": "required"}
    assert field_codes(ask(shop, grant_type="password", email="a@b.test", password=1)) == {
        "password": "not_a_string"
    }
    assert field_codes(ask(shop, grant_type="password", pin="1")) == {"pin": "unknown_field"}


def test_a_form_is_not_json(shop: Shop) -> None:
    answer = shop.call("POST", "/merchant/auth/token", key=None, data={"grant_type": "password"})
    assert (answer.status_code, code_of(answer)) == (415, "unsupported_media_type")


def test_a_refresh_token_buys_the_next_pair(shop: Shop) -> None:
    first = by_key(shop)
    second = ask(shop, grant_type="refresh_token", refresh_token=first["refresh_token"]).json
    assert second["refresh_token"] != first["refresh_token"]
    assert shop.get("/api/v1/balances", key=second["access_token"]).status_code == 200
    third = ask(shop, grant_type="refresh_token", refresh_token=second["refresh_token"])
    assert third.status_code == 200


@pytest.mark.proves("attack 52")
def test_row_52_a_refresh_token_used_twice_ends_the_whole_family(shop: Shop) -> None:
    first = by_key(shop)
    second = ask(shop, grant_type="refresh_token", refresh_token=first["refresh_token"]).json
    replay = ask(shop, grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert (replay.status_code, code_of(replay)) == (401, "invalid_credentials")
    assert ask(shop, grant_type="refresh_token", refresh_token=second["refresh_token"]).status_code == 401
    for token in (first["access_token"], second["access_token"]):
        assert shop.get("/api/v1/balances", key=token).status_code == 401
    assert shop.get("/api/v1/balances").status_code == 200  # the key itself is not concerned


@pytest.mark.proves("attack 52")
@pytest.mark.races
def test_of_ten_parallel_refreshes_one_wins(shop: Shop) -> None:
    token, barrier, statuses = by_key(shop)["refresh_token"], threading.Barrier(10), []

    def run() -> None:
        barrier.wait()
        statuses.append(ask(shop, grant_type="refresh_token", refresh_token=token).status_code)

    threads = [threading.Thread(target=run) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert statuses.count(200) == 1, statuses
    assert set(statuses) <= {200, 401, 503}


def test_refresh_tokens_are_stored_as_hashes(shop: Shop) -> None:
    secret = by_key(shop)["refresh_token"]
    with transaction():
        stored = RefreshToken.query.filter_by(store_id=shop.store_id).all()
    assert stored
    assert all(secret.encode() not in row.token_hash and len(row.token_hash) == 32 for row in stored)


def test_an_expired_refresh_token_is_dead(shop: Shop) -> None:
    granted = by_key(shop)
    with transaction():
        RefreshToken.query.filter_by(store_id=shop.store_id).update({"expires_at": db.func.now()})
    assert ask(shop, grant_type="refresh_token", refresh_token=granted["refresh_token"]).status_code == 401


def test_a_revoked_key_takes_its_tokens_along(shop: Shop) -> None:
    key = shop.key_with(Scope.BALANCES_READ)
    granted = by_key(shop, key)
    assert shop.get("/api/v1/balances", key=granted["access_token"]).status_code == 200
    found = find_key(key, 60)
    assert found is not None
    with transaction():
        revoke_api_key(shop.store_id, found.id)
    assert shop.get("/api/v1/balances", key=granted["access_token"]).status_code == 401
    assert ask(shop, grant_type="refresh_token", refresh_token=granted["refresh_token"]).status_code == 401


def test_who_leaves_the_merchant_is_out_at_once(shop: Shop, person: User) -> None:
    granted = by_password(shop, person).json
    with transaction():
        MerchantMember.query.filter_by(user_id=person.id).delete()
    assert shop.get("/api/v1/balances", key=granted["access_token"]).status_code == 401
    assert ask(shop, grant_type="refresh_token", refresh_token=granted["refresh_token"]).status_code == 401


def _claims(shop: Shop) -> tuple[dict[str, Any], bytes]:
    token = by_key(shop)["access_token"]
    return jwt.decode(token, options={"verify_signature": False}), access_tokens._signing_key()


@pytest.mark.proves("attack 59", "ASVS 35")
@pytest.mark.parametrize(
    "change",
    [{"aud": "nostro-trader-api"}, {"aud": ["nostro-merchant-api", "x"]}, {"iss": "http://localhost:80000"},
     {"iss": "http://localhost:8000.evil.test"}, {"iss": "http://localhost"}, {"exp": int(time.time()) - 1},
     {"fam": uuid.uuid4().hex}, {"fam": "x"}, {"fam": None}, {"fam": 7}, {"exp": None}, {"jti": None}, {"sub": None},
     {"nbf": int(time.time()) + 900}],
)  # fmt: skip
def test_row_59_a_token_with_other_claims_is_refused(shop: Shop, change: dict[str, Any]) -> None:
    claims, key = _claims(shop)
    changed = {name: value for name, value in (claims | change).items() if value is not None}
    token = jwt.encode(changed, key, algorithm="HS256", headers={"typ": "at+jwt"})
    assert shop.get("/api/v1/balances", key=token).status_code == 401


@pytest.mark.proves("attack 59")
def test_row_59_the_same_claims_unchanged_are_accepted(shop: Shop) -> None:
    claims, key = _claims(shop)
    token = jwt.encode(claims, key, algorithm="HS256", headers={"typ": "at+jwt"})
    assert shop.get("/api/v1/balances", key=token).status_code == 200


@pytest.mark.proves("attack 59", "ASVS 35")
@pytest.mark.parametrize("header", [{"typ": "JWT"}, {"typ": None}, {"typ": "at+jwt", "crit": ["x"], "x": 1}])
def test_row_59_a_token_of_another_type_is_refused(shop: Shop, header: dict[str, Any]) -> None:
    claims, key = _claims(shop)
    token = jwt.encode(claims, key, algorithm="HS256", headers=header)
    assert shop.get("/api/v1/balances", key=token).status_code == 401


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.proves("attack 59", "ASVS 35")
def test_row_59_no_other_algorithm_and_no_other_key(shop: Shop) -> None:
    claims, key = _claims(shop)
    secret = get_settings().secret_key.get_secret_value()
    tokens = [
        f"{_part({'alg': 'none', 'typ': 'at+jwt'})}.{_part(claims)}.",
        f"{_part({'alg': 'None', 'typ': 'at+jwt'})}.{_part(claims)}.x",
        jwt.encode(claims, key, algorithm="HS384", headers={"typ": "at+jwt"}),
        jwt.encode(claims, key, algorithm="HS512", headers={"typ": "at+jwt"}),
        jwt.encode(claims, secret, algorithm="HS256", headers={"typ": "at+jwt"}),
        jwt.encode(claims, "x" * 32, algorithm="HS256", headers={"typ": "at+jwt", "kid": "../../dev/null"}),
        jwt.encode(claims, key, algorithm="HS256", headers={"typ": "at+jwt"})[:-2] + "AA",
    ]
    for token in tokens:
        assert shop.get("/api/v1/balances", key=token).status_code == 401, token


def test_a_live_token_does_not_see_test_orders(served: Shop, person: User) -> None:
    order = served.order()
    granted = by_password(served, person).json
    assert granted["mode"] == Mode.LIVE
    assert served.get(f"/api/v1/orders/{order['id']}", key=granted["access_token"]).status_code == 404
