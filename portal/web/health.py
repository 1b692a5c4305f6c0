"""`/healthz`: whether this process is alive. It asks nobody else, so that a slow database does not get it killed."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from portal.core.permissions import public

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@public("load balancers and supervisors ask it, and it tells nothing but that we are here")
def healthz() -> Response:
    response = jsonify(status="ok", service="nostro")
    response.headers["Cache-Control"] = "no-store"
    return response
