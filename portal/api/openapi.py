"""The OpenAPI 3.1 document, made from what the routes declare and from the schemas they check with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from flask import Flask
from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import models_json_schema
from werkzeug.routing import Rule

from portal.api.examples import ANSWERS, EVENT
from portal.api.operations import Operation, operation_of
from portal.api.v1.event_schemas import EventOut
from portal.api.validation import Answer
from portal.settings import get_settings

VERSION = "1.0.0"
_REF = "#/components/schemas/{model}"
_VARIABLE = re.compile(r"<(?:[a-z]+:)?([a-z_]+)>")
_ALWAYS = (401, 403, 429, 500, 503)
_WORDS = {
    400: "The request could not be read, or a header is missing or malformed.",
    401: "Valid credentials are needed.",
    403: "The scope, the mode or the network does not permit this.",
    404: "There is no such thing here, or it is not yours.",
    409: "The current state does not allow this.",
    413: "The content is too large.",
    415: "The content is not JSON in UTF-8.",
    422: "Some of the input is not valid.",
    429: "Too many requests; Retry-After says when to go on.",
    500: "Something went wrong on our side.",
    503: "Not possible right now; Retry-After says when to try again.",
}
_HEADERS = {
    "X-Request-Id": {"description": "The id of this request.", "schema": {"type": "string"}},
    "RateLimit-Limit": {"description": "Requests a minute.", "schema": {"type": "string"}},
    "RateLimit-Remaining": {"description": "Requests left in this minute.", "schema": {"type": "string"}},
    "RateLimit-Reset": {"description": "Seconds until the next minute.", "schema": {"type": "string"}},
}


class ProblemField(Answer):
    field: str
    """Where it is: a field of the body or a parameter, inner fields after dots."""
    code: str
    """What is wrong, for programs; /docs lists the codes."""
    message: str
    """What is wrong, for people."""


class Problem(BaseModel):
    """RFC 9457. `code` is part of the contract; `errors` names the fields of a 422."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: str
    """The address of the page that explains this code."""
    title: str
    """What the code means, in one sentence."""
    status: int
    """The HTTP status, once more."""
    code: str
    """What is wrong, for programs; /docs lists the codes."""
    detail: str
    """What is wrong with this very request, for people."""
    request_id: str
    """Name it when you ask us about this request."""
    errors: list[ProblemField] | None = None
    """The fields of a 422; left out where no field is to blame."""


def declared_routes(app: Flask) -> Iterator[tuple[Rule, str, Operation]]:
    """Every route with a declaration: rule, method and declaration, in the order of the documentation."""
    found: list[tuple[Rule, str, Operation]] = []
    for rule in app.url_map.iter_rules():
        declared = operation_of(app.view_functions[rule.endpoint])
        if declared is not None:
            methods = sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
            found.extend((rule, method, declared) for method in methods)
    yield from found


def document(app: Flask) -> dict[str, Any]:
    """The whole document as plain values."""
    settings = get_settings()
    routes = list(declared_routes(app))
    models = dict([(Problem, "serialization"), (EventOut, "serialization"), *_models(routes)])
    refs, schemas = models_json_schema(list(models.items()), ref_template=_REF)  # type: ignore[arg-type]
    by_model = {model: ref for (model, _), ref in refs.items()}
    components = schemas.get("$defs", {})
    paths: dict[str, Any] = {}
    for rule, method, declared in routes:
        path = _VARIABLE.sub(r"{\1}", rule.rule)
        paths.setdefault(path, {})[method.lower()] = _operation(rule, declared, by_model, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Nostro merchant API",
            "version": VERSION,
            "description": _INTRODUCTION,
        },
        "servers": [{"url": settings.public_url}],
        "tags": [{"name": name} for name in dict.fromkeys(declared.tag for _, _, declared in routes)],
        "paths": paths,
        "webhooks": {"event": {"post": _webhook(by_model[EventOut])}},
        "components": {
            "schemas": _without_defaults(components),
            "headers": _HEADERS,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A store's API key (nst_live_..., nst_test_...) or an access token.",
                }
            },
        },
    }


def _webhook(schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "operationId": "event",
        "summary": "What happened to an order",
        "description": "Sent to the store's endpoint, signed by Standard Webhooks, until it is answered 2xx.",
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema, "example": EVENT}},
        },
        "responses": {"2XX": {"description": "Taken in."}},
    }


def _models(routes: list[tuple[Rule, str, Operation]]) -> Iterator[tuple[type[BaseModel], str]]:
    for _, _, declared in routes:
        for model in (declared.body, declared.query):
            if model is not None:
                yield model, "validation"
        if declared.answer is not None:
            yield declared.answer, "serialization"


_INTRODUCTION = (
    "JSON only, UTF-8, times RFC 3339 in UTC, amounts as decimal strings. A test key touches test data only."
    " Every refusal is application/problem+json with a code."
)


def _operation(
    rule: Rule, declared: Operation, refs: dict[Any, Any], components: dict[str, Any]
) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": declared.id,
        "summary": declared.summary,
        "tags": [declared.tag],
        "description": _description(declared),
        "parameters": [
            *_path_parameters(rule, declared),
            *_query_parameters(declared, components),
            *_headers(declared),
        ],
        "responses": _responses(declared, refs),
        "security": [] if declared.is_public else [{"bearer": []}],
    }
    if declared.body is not None:
        content: dict[str, Any] = {"schema": refs[declared.body]}
        if declared.example is not None:
            content["example"] = dict(declared.example)
        is_required = any(field.is_required() for field in declared.body.model_fields.values())
        described["requestBody"] = {"required": is_required, "content": {"application/json": content}}
    elif declared.multipart is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"multipart/form-data": {"schema": dict(declared.multipart)}},
        }
    return described


def _description(declared: Operation) -> str:
    needs = f"Scope: `{declared.scope.value}`." if declared.scope is not None else ""
    mode = "Test keys only." if declared.is_test_only else ""
    return " ".join(part for part in (declared.description, needs, mode) if part)


_PARTS = {
    "order_id": "The `id` of an order.",
    "endpoint_id": "The `id` of a webhook endpoint.",
    "action": "What is played.",
}


def _path_parameters(rule: Rule, declared: Operation) -> list[dict[str, Any]]:
    found = []
    for name in _VARIABLE.findall(rule.rule):
        schema: dict[str, Any] = {"type": "string"}
        if name in declared.path_choices:
            schema["enum"] = list(declared.path_choices[name])
        found.append(
            {"name": name, "in": "path", "required": True, "description": _PARTS[name], "schema": schema}
        )
    return found


def _without_defaults(components: dict[str, Any]) -> dict[str, Any]:
    """The schemas without `default`: what may be left out is what `required` does not name, and generators of
    clients take a field with a default for one that is always there.
    """
    for schema in components.values():
        for field in schema.get("properties", {}).values():
            field.pop("default", None)
    return components


def _query_parameters(declared: Operation, components: dict[str, Any]) -> list[dict[str, Any]]:
    """One parameter for each field of the query's schema; "or null" only means that it may be left out."""
    if declared.query is None:
        return []
    schema = components[declared.query.__name__]
    required = set(schema.get("required", ()))
    parameters = []
    for name, field in schema["properties"].items():
        plain = {
            key: value for key, value in field.items() if key not in {"title", "default"} or value is not None
        }
        choices = [choice for choice in plain.pop("anyOf", []) if choice.get("type") != "null"]
        plain |= choices[0] if choices else {}
        description = plain.pop("description", None)
        parameter = {"name": name, "in": "query", "required": name in required, "schema": plain}
        parameters.append(parameter | ({"description": description} if description else {}))
    return parameters


def _headers(declared: Operation) -> list[dict[str, Any]]:
    if not declared.idempotency:
        return []
    return [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": declared.idempotency == "required",
            "description": "The same key and body are carried out once, and answered alike for at least a day.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
            "example": "6f1f3c1e-5f5b-4c0e-9f3e-2f0a1c6f8f3d",
        }
    ]


def _responses(declared: Operation, refs: dict[Any, Any]) -> dict[str, Any]:
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in _HEADERS}
    success: dict[str, Any] = {"description": "Done.", "headers": headers}
    if declared.idempotency:
        success["headers"] = headers | {
            "Idempotent-Replayed": {
                "description": "`true` when this answer was given before.",
                "schema": {"type": "string"},
            }
        }
    if declared.answer is not None:
        content = {"schema": refs[declared.answer], "example": ANSWERS[declared.answer]}
        success["content"] = {"application/json": content}
    responses: dict[str, Any] = {str(declared.status): success}
    always = (429, 500, 503) if declared.is_public else _ALWAYS
    for status in sorted({*declared.problems, *always}):
        responses[str(status)] = {
            "description": _WORDS[status],
            "headers": {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}},
            "content": {"application/problem+json": {"schema": refs[Problem]}},
        }
    return responses


@lru_cache(maxsize=2)
def cached_document(app: Flask) -> dict[str, Any]:
    """The document of a started application: its routes do not change any more."""
    return document(app)
