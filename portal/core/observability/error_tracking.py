"""Sentry, off without a DSN. It hears what the log hears at ERROR, after the same redaction."""

from __future__ import annotations

from typing import Any

import sentry_sdk
from sentry_sdk.integrations.atexit import AtexitIntegration
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.excepthook import ExcepthookIntegration
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.integrations.threading import ThreadingIntegration
from sentry_sdk.types import Event

from portal.core.observability.redaction import redact
from portal.core.observability.trace import current
from portal.settings import Settings

# Everything else that the library gathers (the request, the person, the machine) is not sent.
_KEPT = (
    "event_id",
    "timestamp",
    "level",
    "logger",
    "platform",
    "release",
    "environment",
    "sdk",
    "fingerprint",
)
_REDACTED = ("exception", "logentry", "message", "extra", "contexts", "tags")


def start(settings: Settings, role: str) -> None:
    """Send errors of this process to Sentry, when there is a DSN."""
    dsn = settings.sentry_dsn.get_secret_value()
    if not dsn:
        return
    sentry_sdk.init(
        dsn=dsn,
        release=settings.release or None,
        environment=settings.environment,
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[
            LoggingIntegration(level=None, event_level=40),
            ExcepthookIntegration(),
            ThreadingIntegration(propagate_scope=False),
            DedupeIntegration(),
            AtexitIntegration(callback=lambda _pending, _timeout: None),
        ],
        before_send=lambda event, _hint: clean(event, role),
        send_default_pii=False,
        include_local_variables=False,
        include_source_context=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        send_client_reports=False,
        shutdown_timeout=2,
    )


def clean(event: Event, role: str) -> Event:
    """The event as it may leave the house: who failed where, with which words, and in which request."""
    told: dict[str, Any] = dict(event)
    kept = {name: told[name] for name in _KEPT if name in told}
    kept |= {name: redact(told[name]) for name in _REDACTED if name in told}
    if isinstance(words := kept.get("logentry"), dict):
        words.pop("params", None)
    tags = {"role": role}
    trace = current.get()
    if trace is not None:
        tags |= {"request_id": trace.request_id, "route": trace.route}
    kept["tags"] = {**(kept.get("tags") or {}), **tags}
    return kept  # type: ignore[return-value]
