"""Gunicorn's settings, for every place that starts it: run-all, the demo, the image, a unit file of yours.

`gunicorn --config python:portal.workers.web_server wsgi:app`; options of the command line win.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gunicorn.glogging import Logger

from portal.core.observability import logging as logs
from portal.settings import get_settings, say_ready

worker_class = "gthread"
workers = 2
# Requests are short, and a thread more than the pool has connections mostly waits for one. Streams hold none.
threads = 16
# What is in flight at a stop has so long; nothing of ours takes longer than the database lets it.
graceful_timeout = 5
timeout = 60
keepalive = 5
# A worker's beat is a file: on a slow disk it would seem to hang.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
control_socket_disable = True


class HouseLogger(Logger):  # type: ignore[misc]
    """Gunicorn's own lines, written and redacted as all others are."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        logs.configure(get_settings(), "web")
        for log in (self.error_log, self.access_log):
            log.handlers.clear()
            log.propagate = True


logger_class = HouseLogger


def post_worker_init(_worker: object) -> None:
    """The application is loaded: requests are answered."""
    say_ready()
