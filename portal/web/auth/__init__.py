"""Signing in and out, and who one is: a session in PostgreSQL behind a cookie."""

from __future__ import annotations

from typing import Any

from flask import Flask, request
from flask_login import LoginManager, current_user

from portal.web.auth import invitation, password_reset, second_factor, sudo  # noqa: F401 - routes
from portal.web.auth.enrolment import want_second_factor
from portal.web.auth.routes import blueprint
from portal.web.shell.visitor import load_visitor


class _Visitors(LoginManager):  # type: ignore[misc]
    """Flask-Login's `current_user`, who is whoever our own session says: none of its cookies is read or written, its
    signed session least of all, which it looks into before and after every request."""

    def _load_user(self) -> Any:
        self._update_request_context_with_user(load_visitor(request))


def register(app: Flask) -> None:
    # Not told of the application: it would put a hook after every answer.
    app.login_manager = _Visitors()  # type: ignore[attr-defined]
    # Looked up by the pages that ask; the processor would look before each page, the customer's too.
    app.jinja_env.globals["current_user"] = current_user
    app.register_blueprint(blueprint)
    app.before_request(want_second_factor)
