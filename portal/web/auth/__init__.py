"""Signing in and out, and who one is: a session in PostgreSQL behind a cookie."""

from __future__ import annotations

from flask import Flask
from flask_login import LoginManager, current_user

from portal.web.auth import invitation, password_reset, second_factor, sudo  # noqa: F401 - routes
from portal.web.auth.enrolment import want_second_factor
from portal.web.auth.routes import blueprint
from portal.web.auth.visitor import load_visitor


def register(app: Flask) -> None:
    manager = LoginManager(app, add_context_processor=False)
    # Looked up by the pages that ask; the processor would look before each page, the customer's too.
    app.jinja_env.globals["current_user"] = current_user
    # The session is a row of ours: Flask-Login's own cookie and its guesses about it stay out.
    manager.session_protection = None
    manager.request_loader(load_visitor)
    app.register_blueprint(blueprint)
    app.before_request(want_second_factor)
