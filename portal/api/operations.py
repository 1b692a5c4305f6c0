"""What a route declares about itself: who may call it, and what the OpenAPI document says of it.

A declaration wraps nothing and costs a request nothing: one hook reads the scope, the document reads the
rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from flask import current_app, request
from pydantic import BaseModel

from portal.core.errors import BadRequest, NotFound
from portal.identity.models import Scope

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Operation:
    """`id` is what generated clients call it: a verb and its object, never changed.

    `scope` None with `is_public` False means any valid credentials.
    """

    id: str
    summary: str
    tag: str
    scope: Scope | None = None
    is_public: bool = False
    is_test_only: bool = False
    description: str = ""
    body: type[BaseModel] | None = None
    multipart: Mapping[str, Any] | None = None
    query: type[BaseModel] | None = None
    # "required", "optional" or "" (the header means nothing here)
    idempotency: str = ""
    status: int = 200
    answer: type[BaseModel] | None = None
    problems: tuple[int, ...] = ()
    example: Mapping[str, Any] | None = None
    path_examples: Mapping[str, str] = field(default_factory=dict)
    # What a part of the path may be, where it is one of a few.
    path_choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def operation(**declared: Any) -> Callable[[View], View]:
    """Declare a route of the API. A route without a declaration is refused at start."""

    def declare(view: View) -> View:
        view.operation = Operation(**declared)  # type: ignore[attr-defined]
        return view

    return declare


def operation_of(view: Callable[..., Any]) -> Operation | None:
    return cast("Operation | None", getattr(view, "operation", None))


def current_operation() -> Operation:
    """The declaration of the route that this request has reached."""
    found = operation_of(current_app.view_functions[request.endpoint or ""])
    if found is None:
        raise NotFound("There is no such path.")
    return found


def check_query(declared: Operation) -> None:
    """Each parameter is known and given once (400): two meanings of one request are none."""
    if not request.query_string:
        return
    known = declared.query.model_fields if declared.query is not None else {}
    for name, values in request.args.lists():
        if name not in known:
            raise BadRequest(f"There is no parameter {name[:40]!r} here.", code="unknown_parameter")
        if len(values) > 1:
            raise BadRequest(f"The parameter {name!r} is given twice.", code="duplicate_parameter")
