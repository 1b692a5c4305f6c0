"""Whoever may write rows, but has no key of the house: keys and tokens of their own, or moved to others, open nothing."""

from __future__ import annotations

import secrets
from hashlib import sha256
from typing import Any

import pytest

from portal.core.cache import Cache
from portal.core.db import hot, transaction
from portal.core.ids import new_id
from portal.identity.models import Role, Scope
from portal.identity.tokens import api_keys, token_families
from tests.api.conftest import Shop
from tests.api.test_personal_tokens import granted, me, refresh, somebody
from tests.api.test_tokens import by_key

pytestmark = pytest.mark.proves("tried A6")
KEY_ROW = """
INSERT INTO api_key (id, store_id, mode, name, secret_hash, mac, last4, scopes)
VALUES (%(id)s, %(store)s, 'test', 'mine', %(hash)s, %(mac)s, 'last', array['balances:read'])
"""
LINK_ROW = """
INSERT INTO refresh_token (id, family_id, token_hash, user_id, audience, expires_at)
VALUES (%(id)s, %(id)s, %(hash)s, %(user)s, 'admin', now() + interval '1 hour')
"""


def write(sql: str, **values: Any) -> None:
    with transaction():
        assert hot(f"{sql.strip()} RETURNING id", values)
    memories: list[Cache[Any]] = [api_keys._memory, token_families._memory]
    for memory in memories:
        memory.forget()


@pytest.mark.parametrize("mac", [None, b"", b"x" * 32])
def test_a_key_written_into_the_table_is_none(shop: Shop, mac: bytes | None) -> None:
    secret = f"nst_test_{secrets.token_hex(22)}"
    write(KEY_ROW, id=new_id(), store=shop.store_id, hash=sha256(secret.encode()).digest(), mac=mac)
    assert shop.get("/api/v1/balances", key=secret).status_code == 401
    asked = {"grant_type": "client_credentials", "client_secret": secret}
    assert shop.post("/merchant/auth/token", asked, key=None, idem=None).status_code == 401


@pytest.mark.parametrize(
    "change", ["store_id = %(other)s", "mode = 'live'", "scopes = array['orders:write']"]
)
def test_ones_own_key_opens_no_other_store_and_does_no_more(
    shop: Shop, other_shop: Shop, change: str
) -> None:
    key = shop.key_with(Scope.BALANCES_READ)
    bought = by_key(shop, key)["access_token"]
    assert shop.get("/api/v1/balances", key=key).status_code == 200
    write(f"UPDATE api_key SET {change} WHERE secret_hash = %(hash)s",
          other=other_shop.store_id, hash=sha256(key.encode()).digest())  # fmt: skip
    assert shop.get("/api/v1/balances", key=key).status_code == 401
    assert shop.get("/api/v1/balances", key=bought).status_code == 401


def test_a_refresh_token_written_into_the_table_buys_nothing(shop: Shop) -> None:
    secret = f"nrt_{secrets.token_urlsafe(48)}a"
    write(LINK_ROW, id=new_id(), user=somebody(Role.ADMIN).id, hash=sha256(secret.encode()).digest())
    assert refresh(shop, Role.ADMIN, secret).status_code == 401


def test_ones_own_tokens_moved_to_somebody_else_open_nothing(shop: Shop) -> None:
    victim, mine = somebody(Role.SUPPORT), somebody(Role.SUPPORT)
    tokens = granted(shop, mine, Role.SUPPORT)
    assert me(shop, Role.SUPPORT, tokens["access_token"]).status_code == 200
    write(
        "UPDATE refresh_token SET user_id = %(victim)s WHERE user_id = %(mine)s",
        victim=victim.id,
        mine=mine.id,
    )
    assert me(shop, Role.SUPPORT, tokens["access_token"]).status_code == 401
    assert refresh(shop, Role.SUPPORT, tokens["refresh_token"]).status_code == 401
