"""`/api/v1`: the blueprint, and the one hook that every request of it passes."""

from __future__ import annotations

from flask import Blueprint, Response, g

from portal.api.authentication import admit, admit_public, current_caller
from portal.api.operations import check_query, current_operation
from portal.api.request_id import HEADER, request_id
from portal.core.errors import Forbidden
from portal.core.modes import Mode

api_v1 = Blueprint("api_v1", __name__, url_prefix="/api/v1")


@api_v1.before_request
def guard() -> None:
    """Credentials, limits, scope and query of every route, by what the route declares."""
    declared = current_operation()
    if declared.is_public:
        admit_public()
    else:
        admit(declared.scope)
        if declared.is_test_only and current_caller().mode is not Mode.TEST:
            raise Forbidden("This works with a test key only.", code="test_mode_only")
    check_query(declared)


@api_v1.after_request
def finish(response: Response) -> Response:
    return finished(response)


def finished(response: Response) -> Response:
    """What every answer carries: its id, what is left of the limit, and no leave to keep or guess."""
    headers = response.headers
    if HEADER not in headers:  # a problem brings these three itself
        headers.add(HEADER, request_id())
        headers.add("X-Content-Type-Options", "nosniff")
        if "Cache-Control" not in headers:
            headers.add("Cache-Control", "no-store")
    allowance = g.get("allowance")
    if allowance is not None:
        for name, value in allowance.headers():
            headers.add(name, value)
    return response


def load_routes() -> None:
    """Import every module that puts routes on the blueprint."""
    from importlib import import_module

    for name in (
        "orders",
        "order_steps",
        "order_disputes",
        "receipts",
        "availability",
        "balances",
        "reference",
        "sandbox_drivers",
        "webhook_endpoints",
    ):
        import_module(f"{__name__}.{name}")
