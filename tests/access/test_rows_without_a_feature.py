"""Rows of the attack matrix about things Nostro does not have: what would bring them back is refused or found."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask

from portal.core.permissions import Permission

SIGNED = {
    "X-Signature": "t=1,v1=00", "X-Api-Key": "nst_live_x", "Signature": 'keyId="1",signature="x"', "X-User-Id": "1",
    "X-Timestamp": "0",
}  # fmt: skip


@pytest.mark.proves("attack 58")
@pytest.mark.parametrize("name", sorted(SIGNED))
def test_row_58_a_request_signature_is_no_proof_without_a_bearers_key(app: Flask, name: str) -> None:
    body = json.dumps({"direction": "payin", "amount": "1.00", "currency": "RUB"})
    headers = {name: SIGNED[name], "Content-Type": "application/json"}
    answer = app.test_client().post("/api/v1/orders", data=body, headers=headers)
    assert (answer.status_code, (answer.json or {})["code"]) == (401, "missing_credentials")


@pytest.mark.proves("attack 64")
def test_row_64_no_operation_takes_ids_of_several_things(app: Flask) -> None:
    document = app.test_client().get("/api/v1/openapi.json").json
    assert document is not None
    taken = [
        name
        for operations in document["paths"].values()
        for operation in operations.values()
        for name, _schema in fields_of(operation, document)
    ]
    assert {"amount", "refresh_token"} & set(taken)
    lists = [
        f"{path} {name}"
        for path, operations in document["paths"].items()
        for operation in operations.values()
        for name, schema in fields_of(operation, document)
        if schema.get("type") == "array" and name.removesuffix("s").endswith("id")
    ]
    assert lists == []


def fields_of(operation: dict[str, Any], document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The fields of what the operation takes."""
    content = operation.get("requestBody", {}).get("content", {})
    found = []
    for kind in content.values():
        name = kind.get("schema", {}).get("$ref", "").rpartition("/")[2]
        schema = document["components"]["schemas"].get(name, kind.get("schema", {}))
        found += list(schema.get("properties", {}).items())
    return found


@pytest.mark.proves("attack 68")
def test_row_68_nobody_acts_in_the_name_of_another(app: Flask) -> None:
    words = ("impersonat", "act-as", "act_as", "login-as", "become")
    paths = [rule.rule + rule.endpoint for rule in app.url_map.iter_rules()]
    assert [text for text in (*paths, *(p.value for p in Permission)) if any(w in text for w in words)] == []
