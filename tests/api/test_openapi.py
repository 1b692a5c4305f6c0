"""The document and the page that are made from the code, and that the code answers as they say."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from openapi_spec_validator import validate
from schemathesis import Case, checks

from portal.api.codes import ERROR_CODES, FIELD_CODES
from portal.core.errors import DomainError
from portal.identity.models import Scope
from tests.api.conftest import Shop, code_of

ROOT = Path(__file__).resolve().parents[2]


def document(shop: Shop) -> dict[str, Any]:
    return dict(shop.get("/api/v1/openapi.json", key=None).json or {})


def test_the_document_is_valid_openapi_3_1(shop: Shop) -> None:
    described = document(shop)
    assert described["openapi"].startswith("3.1")
    validate(described)  # type: ignore[arg-type]


def test_every_route_of_the_contract_is_described(shop: Shop) -> None:
    described = {
        (method.upper(), path) for path, methods in document(shop)["paths"].items() for method in methods
    }
    orders, hooks = "/api/v1/orders", "/api/v1/webhook-endpoints"
    assert {
        ("POST", "/merchant/auth/token"), ("POST", orders), ("GET", orders), ("GET", f"{orders}/{{order_id}}"),
        *(("POST", f"{orders}/{{order_id}}/{verb}") for verb in ("method", "claim", "receipts", "cancel", "confirm")),
        ("GET", "/api/v1/availability"), ("GET", "/api/v1/balances"), ("GET", "/api/v1/balances/entries"),
        *(("GET", f"/api/v1/reference/{noun}") for noun in ("currencies", "methods", "banks", "rates")),
        ("POST", "/api/v1/test/orders/{order_id}/{action}"), ("POST", "/api/v1/test/clock"),
        ("POST", hooks), ("GET", hooks), ("GET", f"{hooks}/{{endpoint_id}}"), ("DELETE", f"{hooks}/{{endpoint_id}}"),
        ("GET", "/api/v1/openapi.json"),
    } <= described  # fmt: skip


def test_ids_of_operations_are_unique(shop: Shop) -> None:
    ids = [entry["operationId"] for methods in document(shop)["paths"].values() for entry in methods.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.proves("tried N12")
def test_each_operation_is_called_a_verb_with_its_object(shop: Shop) -> None:
    ids = {
        f"{method} {path}": entry["operationId"]
        for path, methods in document(shop)["paths"].items()
        for method, entry in methods.items()
    }
    verbs = (
        "attach|cancel|check|choose|claim|confirm|create|delete|drive|get|list|move|open|revoke|send|verify"
    )
    assert [name for name in ids.values() if not re.fullmatch(rf"({verbs})(_[a-z]+)+", name)] == []
    assert ids["post /api/v1/orders"] == "create_order"
    assert ids["post /api/v1/orders/{order_id}/confirm"] == "confirm_payout"
    words = [name.split("_") for name in ids.values()]
    assert all(len(set(parts)) == len(parts) for parts in words), "no word twice"


@pytest.mark.proves("tried N12")
def test_every_field_and_parameter_is_described(shop: Shop) -> None:
    described = document(shop)
    bare = [
        f"{name}.{field}"
        for name, schema in described["components"]["schemas"].items()
        for field, said in schema.get("properties", {}).items()
        if len(said.get("description", "")) < 4
    ] + [
        f"{entry['operationId']}: {parameter['name']}"
        for methods in described["paths"].values()
        for entry in methods.values()
        for parameter in entry["parameters"]
        if len(parameter.get("description", "")) < 4
    ]
    assert bare == []


def _answers(described: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for methods in described["paths"].values():
        for entry in methods.values():
            for status, answer in entry["responses"].items():
                if status.startswith("2") and "content" in answer:
                    yield entry["operationId"], answer["content"]["application/json"]


@pytest.mark.proves("tried N12")
def test_each_answer_has_an_example_that_fits_its_schema(shop: Shop) -> None:
    from jsonschema import Draft202012Validator

    described = document(shop)
    contents = dict(_answers(described))
    sent = described["webhooks"]["event"]["post"]["requestBody"]["content"]["application/json"]
    assert len(contents) > 20
    for name, content in [*contents.items(), ("event", sent)]:
        schema = content["schema"] | {"components": described["components"]}
        problems = [error.message for error in Draft202012Validator(schema).iter_errors(content["example"])]
        assert problems == [], name
    bodies = [
        (entry["operationId"], entry["requestBody"]["content"]["application/json"])
        for methods in described["paths"].values()
        for entry in methods.values()
        if "application/json" in entry.get("requestBody", {}).get("content", {})
    ]
    for name, content in bodies:
        schema = content["schema"] | {"components": described["components"]}
        assert Draft202012Validator(schema).is_valid(content["example"]), name


@pytest.mark.proves("tried N12")
def test_what_is_always_there_is_required_and_nothing_else_looks_so(shop: Shop) -> None:
    """Generators of clients take a field with a `default` for one that is always there."""
    described = document(shop)
    schemas = described["components"]["schemas"]
    answers = set()
    waiting = [content["schema"]["$ref"] for _, content in _answers(described)]
    while waiting:
        name = waiting.pop().rpartition("/")[2]
        if name not in answers:
            answers.add(name)
            waiting += re.findall(r"#/components/schemas/\w+", str(schemas[name]))
    for name in answers:
        assert set(schemas[name].get("required", ())) == set(schemas[name].get("properties", ())), name
    assert {"OrderOut", "Settlement", "EntryOut"} <= answers
    with_default = [
        f"{name}.{field}"
        for name, schema in schemas.items()
        for field, said in schema.get("properties", {}).items()
        if "default" in said
    ]
    assert with_default == []


@pytest.mark.proves("tried N12")
def test_what_is_one_of_a_few_says_of_which(shop: Shop) -> None:
    described = document(shop)
    schemas = described["components"]["schemas"]

    def choices(schema: dict[str, Any]) -> set[str]:
        found = set(schema.get("enum", ()))
        for inner in [*schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else ())]:
            found |= choices(inner)
        return found | (choices(schemas[schema["$ref"].rpartition("/")[2]]) if "$ref" in schema else set())

    for name, field in (
        ("OrderOut", "status"), ("OrderOut", "direction"), ("OrderOut", "locale"), ("EntryOut", "kind"),
        ("EntryOut", "subject"), ("EndpointOut", "disabled_reason"), ("EndpointOut", "event_types"),
        ("CreateEndpoint", "event_types"), ("DisputeOut", "opened_by"), ("DisputeOut", "outcome"),
        ("PersonOut", "roles"), ("ReceiptOut", "content_type"), ("AskToken", "grant_type"),
    ):  # fmt: skip
        assert len(choices(schemas[name]["properties"][field])) > 1, f"{name}.{field}"
    drive = described["paths"]["/api/v1/test/orders/{order_id}/{action}"]["post"]
    assert any("pay" in parameter["schema"].get("enum", ()) for parameter in drive["parameters"])


def test_the_document_is_not_sent_twice(shop: Shop) -> None:
    first = shop.get("/api/v1/openapi.json", key=None)
    again = shop.get("/api/v1/openapi.json", key=None, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_the_page_works_offline_under_a_strict_policy(shop: Shop) -> None:
    answer = shop.get("/docs", key=None)
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=|javascript:", answer.text)
    # Only addresses of this very host, as links and examples.
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", answer.text)
    assert answer.text.count("<h1") == 1
    ids = re.findall(r'\sid="([^"]+)"', answer.text)
    assert len(ids) == len(set(ids))
    for anchor in re.findall(r'href="#([^"]+)"', answer.text):
        assert anchor in ids
    style = re.findall(r'href="(/static/[^"]+\.css[^"]*)"', answer.text)
    assert style
    assert shop.get(style[0], key=None).status_code == 200


def test_the_page_names_each_call_and_each_code(shop: Shop) -> None:
    page = shop.get("/docs", key=None).text
    for path in document(shop)["paths"]:
        assert path in page
    for listed in ERROR_CODES:
        assert f'id="error-{listed.code}"' in page
    for code, _ in FIELD_CODES:
        assert f"<code>{code}</code>" in page


def _codes_in_source() -> set[str]:
    """Every `code="..."` that a refusal is raised with in what the API can reach."""
    found = set()
    for package in ("api", "orders", "matching", "ledger", "merchants", "webhooks", "identity", "core"):
        for path in (ROOT / "portal" / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if (
                    isinstance(node, ast.keyword)
                    and node.arg == "code"
                    and isinstance(node.value, ast.Constant)
                ):
                    found.add(str(node.value.value))
    return found


# Codes of pages and of the operator, which no merchant's program meets.
NOT_OF_THE_API = {
    "already_blocked",
    "already_handled",
    "already_off",
    "already_on",
    "beyond_your_own",
    "duplicate_email",
    "duplicate_passkey",
    "duplicate_requisite",
    "endpoint_disabled",
    "has_totp",
    "invitation_over",
    "last_admin",
    "name_taken",
    "needs_two_people",
    "no_second_factor",
    "not_blocked",
    "not_for_oneself",
    "not_signed_in",
    "nothing_to_dismiss",
    "nothing_to_replay",
    "request_changed",
    "request_decided",
    "request_expired",
    "request_waiting",
    "too_many_passkeys",
}


def test_every_code_that_is_raised_is_listed(shop: Shop) -> None:
    listed = {error.code for error in ERROR_CODES} | {code for code, _ in FIELD_CODES}
    raised = {code for code in _codes_in_source() if re.fullmatch(r"[a-z_]+", code)}
    assert raised - listed - NOT_OF_THE_API == set()


def test_the_listed_statuses_are_those_of_the_refusals(shop: Shop) -> None:
    listed = {error.code: error.status for error in ERROR_CODES}
    waiting = [DomainError]
    while waiting:
        kind = waiting.pop()
        waiting.extend(kind.__subclasses__())
        if kind.code in listed and kind.__module__.startswith("portal"):
            assert listed[kind.code] == kind.status, kind


@pytest.fixture
def broken(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    from portal.api.v1 import balances

    def explode(*_: object) -> None:
        raise ZeroDivisionError("SELECT secret FROM users; /srv/app/portal/x.py line 3")

    monkeypatch.setattr(balances, "list_balances", explode)
    return shop


@pytest.mark.proves("ASVS 41")
def test_what_nobody_expected_is_a_problem_that_tells_nothing(broken: Shop) -> None:
    answer = broken.get("/api/v1/balances")
    assert (answer.status_code, code_of(answer)) == (500, "internal_error")
    for inside in ("Zero", "SELECT", "secret", "portal/", "Traceback", ".py"):
        assert inside not in answer.text


def test_a_database_that_is_away_is_503_with_retry_after(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    import psycopg
    from sqlalchemy.exc import OperationalError

    from portal.api.v1 import balances

    def away(*_: object) -> None:
        raise OperationalError("SELECT 1", {}, psycopg.OperationalError("connection refused"))

    monkeypatch.setattr(balances, "list_balances", away)
    answer = shop.get("/api/v1/balances")
    assert (answer.status_code, code_of(answer)) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    assert "SELECT" not in answer.text


@pytest.mark.parametrize("offered", ["abcdefgh", "a.b_c-d.1234", "x" * 64])
def test_a_good_request_id_comes_back(shop: Shop, offered: str) -> None:
    assert shop.get("/api/v1/balances", headers={"X-Request-Id": offered}).headers["X-Request-Id"] == offered


@pytest.mark.parametrize("offered", ["short", "x" * 65, "with blank", "<script>", "a;b;c;d;e", ""])
def test_any_other_request_id_is_replaced(shop: Shop, offered: str) -> None:
    answered = shop.get("/api/v1/balances", headers={"X-Request-Id": offered}).headers["X-Request-Id"]
    assert answered != offered
    assert re.fullmatch(r"[A-Za-z0-9._-]{8,64}", answered)


@pytest.mark.proves("ASVS 38")
def test_nothing_of_a_merchant_may_be_kept_by_a_proxy(shop: Shop) -> None:
    for answer in (
        shop.get("/api/v1/balances"),
        shop.get("/api/v1/orders"),
        shop.get("/api/v1/none"),
        shop.create(),
    ):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


_ORDER: dict[str, Any] = {"direction": "payin", "amount": "1500.00", "currency": "RUB"}
_RECIPIENT = {"method": "card", "bank": "sber", "number": "4111111111111111", "holder": "IVAN P."}
_CONDITIONAL: list[tuple[str, str, dict[str, Any], bool]] = [
    ("/api/v1/orders", "CreateOrder", _ORDER, True),
    ("/api/v1/orders", "CreateOrder", _ORDER | {"bank": None, "method": None, "recipient": None}, True),
    ("/api/v1/orders", "CreateOrder", _ORDER | {"bank": "sber"}, False),
    ("/api/v1/orders", "CreateOrder", _ORDER | {"recipient": _RECIPIENT}, False),
    ("/api/v1/orders", "CreateOrder", _ORDER | {"direction": "payout"}, False),
    ("/api/v1/orders", "CreateOrder", _ORDER | {"direction": "payout", "recipient": None}, False),
    ("/api/v1/orders", "CreateOrder", _ORDER | {"direction": "payout", "recipient": _RECIPIENT}, True),
    ("/api/v1/test/clock", "MoveClock", {"order_id": "{order}", "seconds": 2.0}, True),
    ("/api/v1/test/clock", "MoveClock", {"order_id": "{order}", "seconds": 2.5}, False),
    ("/merchant/auth/token", "AskToken", {"grant_type": "password", "email": "a@example.com"}, False),
    ("/merchant/auth/token", "AskToken", {"grant_type": "client_credentials"}, False),
    ("/merchant/auth/token", "AskToken", {"grant_type": "client_credentials", "client_secret": ""}, False),
    ("/merchant/auth/token", "AskToken", {"grant_type": "refresh_token", "client_secret": "x"}, False),
    ("/merchant/auth/token", "AskToken", {"grant_type": "implicit"}, False),
    (
        "/merchant/auth/token",
        "AskToken",
        {"grant_type": "client_credentials", "client_secret": "{key}"},
        True,
    ),
    ("/trader/auth/token", "AskPersonalToken", {"email": "a@example.com"}, False),
    ("/trader/auth/token", "AskPersonalToken", {"grant_type": "refresh_token"}, False),
]


@pytest.mark.proves("tried S20")
@pytest.mark.parametrize(("path", "name", "body", "is_good"), _CONDITIONAL)
def test_the_schema_takes_what_the_server_takes_and_refuses_what_it_refuses(
    served: Shop, path: str, name: str, body: dict[str, Any], is_good: bool
) -> None:
    from jsonschema import Draft202012Validator

    served.fund()
    words = {"{key}": served.key}
    if "order_id" in body:
        words["{order}"] = served.order()["id"]
    sent = {key: words.get(value, value) if isinstance(value, str) else value for key, value in body.items()}
    document = served.get("/api/v1/openapi.json").json
    schema = {"$ref": f"#/components/schemas/{name}", "components": (document or {})["components"]}
    assert Draft202012Validator(schema).is_valid(sent) is is_good
    answer = served.post(path, sent, key=served.key if path.startswith("/api/") else None)
    assert (answer.status_code < 300) is is_good, answer.json
    if not is_good:
        assert answer.status_code in {400, 422}


checks.load_all_checks()
CHECKS = checks.CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
    ]
)


@pytest.mark.timeout(110)
def test_the_api_answers_as_the_document_says_whatever_it_is_sent(served: Shop, app: Flask) -> None:
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)
    key = served.key_with(*(scope for scope in Scope if scope is not Scope.WEBHOOKS_WRITE))
    order = served.order()
    for operation in schema.get_all_operations():
        _fuzz(operation.ok(), {"Authorization": f"Bearer {key}"}, order["id"], served)


def _fuzz(operation: Any, headers: dict[str, str], order_id: str, shop: Shop) -> None:
    from hypothesis import given

    from portal.api import authentication

    @given(case=operation.as_strategy())
    @settings(
        max_examples=12, deadline=None, database=None, phases=[Phase.generate], derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def sent(case: Case) -> None:
        for counter in (authentication.strangers, authentication.refused):
            counter._counts.clear()
        if "order_id" in (case.path_parameters or {}):
            case.path_parameters["order_id"] = order_id
        with shop.app.app_context():
            case.call_and_validate(headers=headers, checks=list(CHECKS))

    sent()
