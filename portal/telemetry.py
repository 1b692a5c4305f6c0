"""The eyes of a process: logs, metrics, Sentry and kept errors, switched on together."""

from __future__ import annotations

import logging
from collections.abc import Callable

from flask import Flask

from portal.core.db import db, lost_connections, statement_comments, transaction
from portal.core.observability import error_tracking, process_metrics, request_log
from portal.core.observability import logging as logs
from portal.error_reports.recorder import Counted, ErrorRecorder
from portal.error_reports.service import add_reports
from portal.settings import Settings, is_flask_command, say_ready

COMMAND, WEB = "cli", "web"


def register(app: Flask, request_id: Callable[[], str]) -> None:
    """Watch this process. Call it before other hooks are registered, so that theirs are measured as well."""
    request_log.register(app, request_id)
    with app.app_context():
        statement_comments.install(db.engine)
        lost_connections.install(db.engine)
    take_role(app, COMMAND if is_flask_command() else WEB)


def take_role(app: Flask, role: str) -> None:
    """Say what this process is: web, worker, relay, clock, metrics, or cli for a command that ends."""
    settings: Settings = app.extensions["nostro_settings"]
    logs.configure(settings, role)
    error_tracking.start(settings, role)
    _keep_errors(app, settings, role)
    if role != COMMAND:
        with app.app_context():
            engine = db.engine
        process_metrics.start(settings, role, lambda: engine.pool)
    if role not in {COMMAND, WEB}:
        # The application is made; the web's server says it itself, once it accepts.
        say_ready()


def recorder_of(app: Flask) -> ErrorRecorder:
    """What writes this application's errors into rows."""
    recorder: ErrorRecorder = app.extensions["nostro_errors"]
    return recorder


def _keep_errors(app: Flask, settings: Settings, role: str) -> None:
    def write(counted: list[Counted]) -> None:
        with app.app_context(), transaction():
            add_reports(counted, role=role, release=settings.release)

    root = logging.getLogger()
    for handler in [known for known in root.handlers if isinstance(known, ErrorRecorder)]:
        root.removeHandler(handler)
    # Tests share one connection among all that they do, and write when they look.
    recorder = ErrorRecorder(role, write, in_background=settings.environment != "test")
    root.addHandler(recorder)
    app.extensions["nostro_errors"] = recorder
