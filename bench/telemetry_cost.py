"""`python -m bench.telemetry_cost`: what the request's line and its measurement cost `POST /api/v1/orders`.

One process calls its own WSGI application, in turn with the hooks of portal/core/observability/request_log.py and without
them. The line is made and written, the metrics are kept in files as in production.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask

from bench.limits_cost import REQUESTS, cpu_us, requests_of, started

ROUNDS = 10


@contextmanager
def without_hooks(app: Flask) -> Iterator[None]:
    """The application as it would be without the line and the measurement."""
    kept = [(hooks, list(hooks[None])) for hooks in (
        app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs)]  # fmt: skip
    for hooks, former in kept:
        hooks[None] = [hook for hook in former if hook.__module__ != "portal.core.observability.request_log"]
    try:
        yield
    finally:
        for hooks, former in kept:
            hooks[None] = former


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="nostro-bench-") as name, started(Path(name)) as environment:
        Path(name).chmod(0o711)
        os.environ.update(environment, LOG_FORMAT="json", LOG_LEVEL="INFO", METRICS_DIR=f"{name}/metrics")
        from bench.world import build, migrate
        from portal import create_app

        migrate(dict(os.environ))
        os.dup2(os.open(f"{name}/log", os.O_WRONLY | os.O_CREAT), 2)
        app = create_app()
        send = requests_of(app, build(app).keys[0])
        with_hooks, without = [], []
        for number in range(ROUNDS + 1):
            one = cpu_us(send)
            with without_hooks(app):
                other = cpu_us(send)
            if number:  # the first round prepares statements and fills caches
                with_hooks.append(one)
                without.append(other)
        ratios = [one / other for one, other in zip(with_hooks, without, strict=True)]
        print(f"with        {statistics.median(with_hooks):8.1f} us of processor time for a request")
        print(f"without     {statistics.median(without):8.1f} us")
        print(f"ratio       {statistics.median(ratios):8.3f}  (of {ROUNDS} rounds of {REQUESTS};"
              f" {min(ratios):.3f} to {max(ratios):.3f})")  # fmt: skip


if __name__ == "__main__":
    main()
