"""`/healthz`: whether this process is alive. `/readyz`: whether it may be given work, and all get on with it.

The first asks nobody else, so that a slow database does not get the process killed.
"""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from portal.core.permissions import public
from portal.events.readiness import check_readiness, is_ready
from portal.reference.rate_ages import rates_progress
from portal.webhooks.queries import sending_progress

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@public("load balancers and supervisors ask it, and it tells nothing but that we are here")
def healthz() -> Response:
    response = jsonify(status="ok", service="nostro")
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/readyz")
@public("load balancers ask it, and it tells no more than which of seven things is wrong")
def readyz() -> Response:
    checks = check_readiness(webhooks=sending_progress, rates=rates_progress)
    response = jsonify(status="ready" if is_ready(checks) else "not ready", checks=checks)
    response.headers["Cache-Control"] = "no-store"
    if not is_ready(checks):
        response.status_code = 503
        response.headers["Retry-After"] = "2"
    return response
