"""Nostro: a payment gateway whose payments are settled by people."""

from __future__ import annotations

from typing import TYPE_CHECKING

# The streams' process imports parts of the house and makes no application: it stays small.
if TYPE_CHECKING:
    from flask import Flask

    from portal.settings import Settings


def create_app(settings: Settings | None = None) -> Flask:
    """Build the application: configuration, extensions, blueprints, error handlers. No logic."""
    from werkzeug.middleware.proxy_fix import ProxyFix

    from portal.core.db import db, engine_options
    from portal.core.db.bounded_connection import answer_within_s, bound_answers
    from portal.reference.upload_sizes import LARGEST_REQUEST_BYTES
    from portal.settings import get_settings
    from portal.web.shell.application import Application

    settings = settings or get_settings()
    app = Application(__name__, template_folder="../templates", static_folder="../static")
    app.config.update(
        SECRET_KEY=settings.secret_key.get_secret_value(),
        SQLALCHEMY_DATABASE_URI=settings.database_url.get_secret_value(),
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings),
        MAX_CONTENT_LENGTH=LARGEST_REQUEST_BYTES,
        MAX_FORM_MEMORY_SIZE=256 * 1024,
        MAX_FORM_PARTS=40,
        PROVIDE_AUTOMATIC_OPTIONS=False,  # nobody asks from another origin, and no route answers for another's
        TESTING=settings.environment == "test",
    )
    app.extensions["nostro_settings"] = settings
    if hops := settings.trusted_proxies:
        # Without this every visitor would come from the proxy's address, and share one limit.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    db.init_app(app)
    with app.app_context():
        bound_answers(db.engine, answer_within_s(settings))

    from flask_migrate import Migrate

    from portal import api, approval_kinds, cli, tables, telemetry, web
    from portal.api.request_id import request_id
    from portal.core import answer_cache

    tables.load()
    approval_kinds.load()
    answer_cache.register(app)
    telemetry.register(app, request_id)
    api.register(app)
    web.register(app)
    Migrate(app, db, directory=str(__path__[0]) + "/../migrations", compare_type=True)
    cli.register(app)
    return app
