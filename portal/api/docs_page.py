"""`/docs` and `/api/v1/openapi.json`: the reference, made from the code, working without any other server."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from flask import Blueprint, Response, current_app, render_template, request

from portal.api.answers import json_answer
from portal.api.codes import ERROR_CODES, FIELD_CODES
from portal.api.openapi import cached_document, declared_routes
from portal.api.operations import Operation, operation
from portal.api.v1 import api_v1
from portal.core.answer_cache import answers
from portal.core.permissions import public
from portal.settings import get_settings

docs = Blueprint("docs", __name__)
_CACHED = "public, max-age=300"
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " font-src 'self'; form-action 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One line of a table of fields."""

    name: str
    type: str
    is_required: bool
    description: str


@dataclass(frozen=True, slots=True)
class Section:
    """One call as the page shows it."""

    anchor: str
    method: str
    path: str
    declared: Operation
    query: list[FieldRow]
    body: list[FieldRow]
    answer: list[FieldRow]
    curl: str


@api_v1.get("/openapi.json", provide_automatic_options=False)
@operation(id="get_openapi_document", summary="This document", tag="Reference", is_public=True)
def openapi_document() -> Response:
    body, etag = _encoded(current_app._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001
    response = json_answer(body)
    response.headers["Cache-Control"] = _CACHED
    response.set_etag(etag)
    response.make_conditional(request)
    return response


@lru_cache(maxsize=2)
def _encoded(app: Any) -> tuple[bytes, str]:
    body = orjson.dumps(cached_document(app), option=orjson.OPT_INDENT_2)
    return body, hashlib.sha256(body).hexdigest()[:32]


@docs.get("/docs", provide_automatic_options=False)
@public("the reference of the API, without anybody's data")
def reference_page() -> Response:
    page = _page(current_app._get_current_object(), get_settings().public_url)  # type: ignore[attr-defined]  # noqa: SLF001
    response = Response(page, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = _CSP
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = _CACHED
    return response


def _name_of_page(app: Any, base_url: str) -> str:
    return f"docs:{_encoded(app)[1]}:{base_url}"


@answers.cached(timeout=300, make_cache_key=_name_of_page)
def _page(app: Any, base_url: str) -> str:
    described = cached_document(app)
    sections = _sections(app, described)
    return render_template(
        "api/reference.html",
        base_url=base_url,
        groups={
            tag["name"]: [s for s in sections if s.declared.tag == tag["name"]] for tag in described["tags"]
        },
        error_codes=ERROR_CODES,
        field_codes=FIELD_CODES,
        schemas=described["components"]["schemas"],
    )


def _sections(app: Any, described: dict[str, Any]) -> list[Section]:
    schemas = described["components"]["schemas"]
    found = []
    for rule, method, declared in declared_routes(app):
        path = rule.rule.replace("<", "{").replace(">", "}")
        entry = described["paths"][path][method.lower()]
        found.append(
            Section(
                anchor=entry["operationId"],
                method=method,
                path=path,
                declared=declared,
                query=_rows(schemas, declared.query),
                body=_rows(schemas, declared.body),
                answer=_rows(schemas, declared.answer),
                curl=_curl(method, path, declared),
            )
        )
    return found


def _rows(schemas: dict[str, Any], model: Any) -> list[FieldRow]:
    """The fields of a model, those of the objects in it below them (`customer.id`)."""
    return [] if model is None else list(_fields(schemas, schemas[model.__name__], ""))


def _fields(schemas: dict[str, Any], schema: dict[str, Any], prefix: str) -> list[FieldRow]:
    required = set(schema.get("required", ()))
    rows = []
    for name, field in schema.get("properties", {}).items():
        described = field.get("description", "")
        rows.append(FieldRow(prefix + name, _type(schemas, field), name in required, described))
        inner = _object_in(schemas, field)
        if inner is not None and prefix.count(".") < 2:
            rows.extend(_fields(schemas, inner, f"{prefix}{name}."))
    return rows


def _choices(field: dict[str, Any]) -> list[dict[str, Any]]:
    return list(field.get("anyOf", [field]))


def _resolved(schemas: dict[str, Any], field: dict[str, Any]) -> dict[str, Any]:
    reference = field.get("$ref")
    return schemas[reference.rpartition("/")[2]] if reference else field


def _object_in(schemas: dict[str, Any], field: dict[str, Any]) -> dict[str, Any] | None:
    for choice in _choices(field):
        plain = _resolved(schemas, choice)
        plain = _resolved(schemas, plain["items"]) if plain.get("type") == "array" else plain
        if "properties" in plain:
            return plain
    return None


def _type(schemas: dict[str, Any], field: dict[str, Any]) -> str:
    names = []
    for choice in _choices(field):
        plain = _resolved(schemas, choice)
        if "enum" in plain:
            names.append(" | ".join(f'"{value}"' for value in plain["enum"]))
        elif "const" in plain:
            names.append(f'"{plain["const"]}"')
        else:
            names.append(str(plain.get("format") or plain.get("type", "any")))
    return " or ".join(dict.fromkeys(names))


_SAMPLE_IDS = {"order_id": "$ORDER_ID", "endpoint_id": "$ENDPOINT_ID", "action": "pay"}


def _curl(method: str, path: str, declared: Operation) -> str:
    """A command that can be pasted: it reads the key from $NOSTRO_KEY."""
    for name, sample in (_SAMPLE_IDS | dict(declared.path_examples)).items():
        path = path.replace(f"{{{name}}}", sample)
    query = "?direction=payin&currency=RUB&amount=1500.00" if path.endswith("/availability") else ""
    lines = [f'curl -sS -X {method} "{get_settings().public_url}{path}{query}"']
    if not declared.is_public:
        lines.append('-H "Authorization: Bearer $NOSTRO_KEY"')
    if declared.idempotency:
        lines.append('-H "Idempotency-Key: $(cat /proc/sys/kernel/random/uuid)"')
    if declared.multipart is not None:
        lines.append("-F file=@receipt.png")
    if declared.body is not None and declared.example is not None:
        body = orjson.dumps(dict(declared.example), option=orjson.OPT_INDENT_2).decode()
        lines.append("-H 'Content-Type: application/json'")
        lines.append(f"-d '{body}'")
    return " \\\n  ".join(lines)
