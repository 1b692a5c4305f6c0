"""Field keys: everything that is encrypted moves to the newest one, and the list of it is whole."""

from __future__ import annotations

import ast
import itertools
import json
import secrets
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import LargeBinary

from portal.core.actors import CUSTOMER
from portal.core.crypto import DecryptionFailed, decrypt, encrypt, key_id_of
from portal.core.db import Base, hot, transaction
from portal.core.modes import Mode
from portal.identity.proofs.totp import propose_totp
from portal.mail.models import MailKind
from portal.mail.service import queue_mail
from portal.ops import key_rotation
from portal.ops.encrypted_columns import COLUMNS
from portal.ops.key_rotation import EncryptedColumn, count_by_key, rotate
from portal.orders.queries import get_order
from portal.orders.service import claim_payin
from portal.orders.service.claim import PayerDetails
from portal.orders.service.create import Customer
from portal.settings import get_settings
from portal.webhooks.service import EndpointUrl, rotate_secret, set_endpoint
from tests.api.conftest import Shop, open_shop
from tests.scene import Scene

OLD, NEW = "dev:development-only-not-for-production", "new:" + "n" * 40
ROOT = Path(__file__).parents[2]


def use_keys(monkeypatch: pytest.MonkeyPatch, *keys: str) -> None:
    monkeypatch.setenv("FIELD_KEYS", ",".join(keys))
    get_settings.cache_clear()


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    yield monkeypatch
    monkeypatch.undo()
    get_settings.cache_clear()


@pytest.fixture
def world(app: Flask, scene: Scene) -> Shop:
    """Values in every encrypted column, written by the verbs that write them."""
    scene.requisite(scene.trader())
    order = scene.payin(customer=Customer(name="Ivan Petrov", email="ivan@example.com"))
    scene.payin(1600_00, customer=Customer(name="Olga", email="olga@example.com"))
    scene.fund_store()
    scene.payout()
    with transaction():
        claim_payin(get_order(order.id, lock=True), PayerDetails("Ivan", "1234", None, None), actor=CUSTOMER)
        set_endpoint(scene.store_id, Mode.LIVE, EndpointUrl("https://shop.example/hook"))
        rotate_secret(scene.store_id, Mode.LIVE)
        propose_totp(scene.lead_id)
        queue_mail(
            "anna@example.com", MailKind.PASSWORD_RESET, "en",
            {"expires_at": "2026-11-23T12:30:00+00:00", "link": "/reset/x"},
        )  # fmt: skip
    shop = open_shop(app)
    shop.trader()
    created = shop.create(idem="a" * 20)
    assert (
        shop.post(f"/api/v1/orders/{(created.json or {})['id']}/claim", {}, idem="b" * 20).status_code == 200
    )
    return shop


def values() -> dict[str, list[bytes]]:
    return {
        column.name: [
            bytes(row["stored"])
            for row in hot(
                f"SELECT {column.column} AS stored FROM {column.table} WHERE {column.column} IS NOT NULL"
            )
        ]
        for column in COLUMNS
    }


def flask(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["keys", *arguments])


def test_every_value_moves_to_the_newest_key_and_says_the_same(
    app: Flask, world: Shop, keys: pytest.MonkeyPatch
) -> None:
    before = values()
    assert [name for name, stored in before.items() if not stored] == []
    first = world.create(idem="a" * 20)
    plain = {column.name: everything_of(column) for column in COLUMNS}
    use_keys(keys, NEW, OLD)
    said = json.loads((result := flask(app, "rotate", "--batch", "1", "--json")).stdout)
    assert (said["ok"], said["left"], said["refused"], result.exit_code) == (True, 0, [], 0)
    assert said["replaced"] == {name: len(stored) for name, stored in before.items()}
    assert {key_id_of(stored) for stored in itertools.chain(*values().values())} == {"new"}
    use_keys(keys, NEW)
    assert {column.name: everything_of(column) for column in COLUMNS} == plain
    again = world.create(idem="a" * 20)
    assert (again.status_code, again.json) == (201, first.json)
    (entry,) = hot("SELECT after FROM audit_entry WHERE action = 'field_keys.rotated'")
    assert entry["after"] == {"to": "new", "values": sum(said["replaced"].values())}


def everything_of(column: EncryptedColumn) -> list[str]:
    rows = hot(f"{key_rotation._select(column)} ORDER BY {key_rotation._keys(column)}")
    return [decrypt(*column.bound_to(row), row["stored"]) for row in rows]


def test_a_second_run_finds_nothing_to_do(app: Flask, world: Shop, keys: pytest.MonkeyPatch) -> None:
    use_keys(keys, NEW, OLD)
    flask(app, "rotate")
    before = values()
    said = json.loads(flask(app, "rotate", "--json").stdout)
    assert sum(said["replaced"].values()) == 0
    assert values() == before


def test_an_interrupted_run_is_taken_up_where_it_was(
    app: Flask, world: Shop, keys: pytest.MonkeyPatch
) -> None:
    use_keys(keys, NEW, OLD)
    column = next(column for column in COLUMNS if column.name == "orders.customer_encrypted")
    assert next(rotate(column, batch=1)).replaced == 1  # and never asked for more
    assert count_by_key(column) == {"dev": 1, "new": 1}
    assert [step.replaced for step in rotate(column, batch=10)] == [1]
    assert count_by_key(column) == {"new": 2}


def test_two_runs_at_once_replace_each_value_once(app: Flask, world: Shop, keys: pytest.MonkeyPatch) -> None:
    use_keys(keys, NEW, OLD)
    column = next(column for column in COLUMNS if column.name == "orders.customer_encrypted")
    with transaction():
        rows = key_rotation._read(column, None, 10)
    fresh, _ = key_rotation._sealed_anew(column, rows)
    with transaction():
        assert key_rotation._replace(column, fresh[:1]) == 1
    others, _ = key_rotation._sealed_anew(column, rows)
    with transaction():
        assert key_rotation._replace(column, others) == 1
    assert len(everything_of(column)) == 2


def test_a_value_that_was_written_meanwhile_is_not_put_back(
    app: Flask, world: Shop, keys: pytest.MonkeyPatch
) -> None:
    use_keys(keys, NEW, OLD)
    column = next(column for column in COLUMNS if column.name == "orders.payer_encrypted")
    with transaction():
        rows = key_rotation._read(column, None, 10)
    fresh, _ = key_rotation._sealed_anew(column, rows)
    changed = encrypt("orders", "payer", rows[0]["id"], "changed")
    with transaction():
        hot(
            "UPDATE orders SET payer_encrypted = %(new)s WHERE id = %(id)s",
            {"new": changed, "id": rows[0]["id"]},
        )
        key_rotation._replace(column, fresh)
    assert "changed" in everything_of(column)


def test_a_value_that_cannot_be_opened_is_named_and_the_others_are_done(
    app: Flask, world: Shop, keys: pytest.MonkeyPatch
) -> None:
    use_keys(keys, "lost:" + "l" * 40)
    factor = hot("SELECT user_id FROM totp_factor")[0]["user_id"]
    stray = encrypt("totp_factor", "secret_encrypted", factor, "x")
    with transaction():
        hot("UPDATE totp_factor SET secret_encrypted = %(stray)s", {"stray": stray})
    use_keys(keys, NEW, OLD)
    result = flask(app, "rotate", "--json")
    said = json.loads(result.stdout)
    assert (result.exit_code, said["ok"], said["left"]) == (1, False, 1)
    assert f"totp_factor.secret_encrypted of {factor} (key lost)" in said["refused"][0]
    assert count_by_key(COLUMNS[0]).keys() == {"new"}
    status = flask(app, "status", "--json")
    assert (status.exit_code, json.loads(status.stdout)["unknown"]) == (1, ["lost"])


def test_status_says_when_an_old_key_may_go(app: Flask, world: Shop, keys: pytest.MonkeyPatch) -> None:
    use_keys(keys, NEW, OLD)
    assert json.loads(flask(app, "status", "--json").stdout)["unused"] == []
    flask(app, "rotate")
    result = flask(app, "status")
    assert "dev is not used any more: it can be taken out of FIELD_KEYS." in result.output
    assert result.exit_code == 0


# Bytes that are no secret in themselves: hashes, keyed hashes, public keys and challenges.
PLAIN = (
    "mac",
    "digest",
    "_hash",
    "_index",
    "hash",
    "sha256",
    "fingerprint",
    "credential_id",
    "public_key",
    "challenge",
)


def test_every_column_of_bytes_is_registered_as_encrypted_or_known_to_be_plain() -> None:
    registered = {column.name for column in COLUMNS}
    for table in Base.metadata.tables.values():
        for column in table.columns:
            name = f"{table.name}.{column.name}"
            if column.name.endswith("_encrypted") or (
                isinstance(column.type, LargeBinary) and not column.name.endswith(PLAIN)
            ):
                assert name in registered, f"{name} is missing from portal/ops/encrypted_columns.py"
    assert registered <= {f"{t.name}.{c.name}" for t in Base.metadata.tables.values() for c in t.columns}


def test_every_call_of_encrypt_is_for_a_registered_column() -> None:
    row: dict[str, Any] = {name: uuid.uuid4() for name in ("id", "user_id", "secret_row_id", "store_id")}
    bound = {column.bound_to(row | {"path": "", "key": ""})[:2] for column in COLUMNS}
    called = set()
    for path in (ROOT / "portal").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and getattr(node.func, "id", "") == "encrypt"
                and len(node.args) == 4
            ):
                table, column = (
                    arg.value if isinstance(arg, ast.Constant) else "\0" for arg in node.args[:2]
                )
                called.add((table, column))
    assert called == bound


def test_damaged_values_fail_to_decrypt_and_in_no_other_way() -> None:
    row = uuid.uuid4()
    stored = encrypt("orders", "payer", row, "Ivan")
    for damaged in (b"", b"\0", stored[:4], stored[:10], stored[:-1], secrets.token_bytes(40), b"dev\0short"):
        with pytest.raises(DecryptionFailed):
            decrypt("orders", "payer", row, damaged)
