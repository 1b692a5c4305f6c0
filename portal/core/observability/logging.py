"""Structured logs: a JSON object a line in production, readable lines elsewhere, all on stderr.

Every record of Python's logging passes here, ours and the libraries'. It gets the id of the request, job or
command it belongs to, and passes the one redaction step; so does what is told to Sentry and kept as an error.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from time import time
from typing import Any

import orjson
import structlog
from structlog.types import EventDict, Processor

from portal.core.observability import trace
from portal.core.observability.log_writer import writer
from portal.core.observability.redaction import know_secrets, redact, redact_text
from portal.settings import Settings

_role = "web"
_release = ""
_render: Callable[[dict[str, Any]], bytes] | None = None


def configure(settings: Settings, role: str) -> None:
    """Send all records through here. `role` says which process this is: web, worker, relay, clock, cli.

    Call it again when the role is known better.
    """
    global _role, _release, _render  # noqa: PLW0603 - the process's own, told once at the start
    _role, _release = role, settings.release
    know_secrets(settings.secrets())
    is_json = settings.environment == "production" or settings.log_format == "json"
    _render = _json_line if is_json else _readable_line
    root = logging.getLogger()
    for former in [handler for handler in root.handlers if isinstance(handler, _Handler)]:
        root.removeHandler(former)
    if settings.log_format == "off":
        _render = None
    else:
        root.addHandler(_Handler(_formatter(is_json=is_json)))
    root.setLevel(settings.log_level)
    logging.raiseExceptions = settings.environment != "production"
    # Each says at INFO what our own lines say better.
    for name in ("werkzeug", "httpx", "aiohttp.access", "alembic", "rq.worker", "flask-limiter"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def write_facts(facts: dict[str, Any]) -> None:
    """A line that is made without Python's logging, for what is written at every request.

    `facts` must be safe by construction: routes, figures and ids, never anything that a caller wrote.
    """
    if _render is not None:
        writer.put(_render(facts))


class _Handler(logging.Handler):
    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record).encode(errors="replace") + b"\n"
        except Exception:
            self.handleError(record)
            return
        writer.put(line, is_urgent=record.levelno >= logging.WARNING)


def _formatter(*, is_json: bool) -> logging.Formatter:
    first: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        _add_work,
    ]
    last: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        _redacted,
    ]
    if is_json:
        last.append(structlog.processors.JSONRenderer(serializer=_dumps))
    else:
        last.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), sort_keys=False))
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=first, processors=last)


def _dumps(facts: EventDict, **_options: Any) -> str:
    return orjson.dumps(facts, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _add_work(_logger: Any, _method: str, facts: EventDict) -> EventDict:
    # Other formatters leave it in the record.
    facts.pop("message", None)
    facts["at"] = _now()
    facts["role"], facts["pid"] = _role, os.getpid()
    if _release:
        facts["release"] = _release
    work = trace.current.get()
    if work is not None:
        facts.setdefault("request_id", work.request_id)
        facts.setdefault("route", work.route)
    return facts


# Written by us: an id or a figure that only looks like a card's number stays legible here.
_OURS = frozenset({"at", "level", "logger", "role", "pid", "release", "request_id", "route"})


def _redacted(_logger: Any, _method: str, facts: EventDict) -> EventDict:
    """The one redaction step of the logs."""
    return {name: value if name in _OURS else redact(value, name) for name, value in facts.items()}


def _now() -> str:
    moment = time()
    second = int(moment)
    return f"{_second(second)}.{int((moment - second) * 1000):03d}+00:00"


@lru_cache(maxsize=2)
def _second(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _json_line(facts: dict[str, Any]) -> bytes:
    return orjson.dumps(
        {"at": _now(), "level": "info", "role": _role, "pid": os.getpid(), "release": _release, **facts},
        option=orjson.OPT_APPEND_NEWLINE,
    )


def _readable_line(facts: dict[str, Any]) -> bytes:
    words = " ".join(
        f"{name}={value}" for name, value in facts.items() if name != "event" and value is not None
    )
    return f"{_now()} [info     ] {facts['event']:<30} {words}\n".encode()


def redacted_exception(record: logging.LogRecord) -> str:
    """The record's message and its traceback, as they may be kept."""
    text = record.getMessage()
    if record.exc_info:
        text += "\n" + logging.Formatter().formatException(record.exc_info)
    return redact_text(text)
