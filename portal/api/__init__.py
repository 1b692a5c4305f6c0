"""The JSON API: `/api/v1`, the token endpoints of all parts of the house, and the reference at `/docs`."""

from __future__ import annotations

from flask import Flask

from portal.api import docs_page, problems
from portal.api.operations import operation_of
from portal.api.personal_tokens import staff_auth, trader_auth
from portal.api.tokens import merchant_auth
from portal.api.v1 import api_v1, load_routes


def register(app: Flask) -> None:
    """Put the API on the application. Raises RuntimeError for a route that declares nothing about itself."""
    load_routes()
    app.register_blueprint(api_v1)
    for blueprint in (merchant_auth, trader_auth, *staff_auth):
        app.register_blueprint(blueprint)
    app.register_blueprint(docs_page.docs)
    problems.register(app)
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(problems.PATHS) and operation_of(app.view_functions[rule.endpoint]) is None:
            raise RuntimeError(f"{rule.rule} has no @operation")
