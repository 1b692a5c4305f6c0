"""`python -m bench.limits_cost`: processor time of `POST /api/v1/orders` with each way to count requests.

One process calls its own WSGI application, in turn with the counter of the API (portal/core/limits.py) and with
Flask-Limiter in its place, keyed by the same caller. What differs between the two is what a limit costs.
"""

from __future__ import annotations

import gc
import io
import json
import os
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask, g

ROUNDS = 14
REQUESTS = 150
# Waiting for the disk is no processor time.
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@contextmanager
def started(folder: Path) -> Iterator[dict[str, str]]:
    """Servers of this run alone, and the environment that names them."""
    from portal.embedded import EmbeddedPostgres, EmbeddedRedis

    postgres, redis = EmbeddedPostgres(folder / "postgres", gucs=NOT_DURABLE), EmbeddedRedis(folder / "redis")
    try:
        yield {"DATABASE_URL": postgres.start(), "REDIS_URL": redis.start(), "ENVIRONMENT": "development"}
    finally:
        redis.stop()
        postgres.stop()


def requests_of(app: Flask, key: str) -> Callable[[], None]:
    """Sends one order of another idempotency key and external id at each call."""

    def send() -> None:
        name = uuid.uuid4().hex
        order = {
            "direction": "payin",
            "amount": "1500.00",
            "currency": "RUB",
            "method": "card",
            "external_id": name,
        }
        body = json.dumps(order).encode()
        environ: dict[str, Any] = {
            "REQUEST_METHOD": "POST", "PATH_INFO": "/api/v1/orders", "QUERY_STRING": "", "SCRIPT_NAME": "",
            "SERVER_NAME": "bench", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body)), "HTTP_IDEMPOTENCY_KEY": name,
            "HTTP_AUTHORIZATION": f"Bearer {key}", "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr, "wsgi.version": (1, 0), "wsgi.multithread": True,
            "wsgi.multiprocess": True, "wsgi.run_once": False,
        }  # fmt: skip
        statuses: list[str] = []
        answer = app.wsgi_app(environ, lambda status, _headers, _error=None: statuses.append(status))
        b"".join(answer)
        if statuses != ["201 CREATED"]:
            raise RuntimeError(f"an order was answered with {statuses}")

    return send


@contextmanager
def by_flask_limiter() -> Iterator[None]:
    """Count the API's callers with Flask-Limiter, as it would stand in the hook of the API."""
    from flask_limiter import ApplicationLimit, Limiter
    from limits.storage import storage_from_string
    from limits.strategies import FixedWindowRateLimiter

    from portal.api import authentication
    from portal.reference import configuration as config
    from portal.settings import get_settings

    limiter = Limiter(
        lambda: str(g.limited_subject),
        application_limits=[
            ApplicationLimit(lambda: f"{config.get(config.API_REQUESTS_PER_MINUTE)} per minute", scope="api")
        ],
        key_prefix="bench:api",
    )
    url = get_settings().redis_url.get_secret_value()
    storage = storage_from_string(f"redis+{url}" if url.startswith("unix:") else url)
    limiter._storage, limiter._limiter = storage, FixedWindowRateLimiter(storage)  # noqa: SLF001
    limiter.enabled = limiter.initialized = True
    limiter._request_identifier = lambda: "api"  # noqa: SLF001
    for group in limiter.limit_manager._application_limits:  # noqa: SLF001
        group.cost, group.per_method, group.finalized = 1, False, True
    former = authentication.count

    def count(_counter: object, subject: str, _limit: int) -> None:
        g.limited_subject = subject
        limiter._check_request_limit()  # noqa: SLF001

    authentication.count = count  # type: ignore[assignment]
    try:
        yield
    finally:
        authentication.count = former


def cpu_us(send: Callable[[], None]) -> float:
    """Processor time of this process for one request, in microseconds."""
    gc.collect()
    before = time.process_time()
    for _ in range(REQUESTS):
        send()
    return (time.process_time() - before) / REQUESTS * 1e6


def alone_us(app: Flask) -> float:
    """The same of the count alone, apart from the request around it."""
    from portal.api import authentication

    with app.test_request_context("/api/v1/orders"):
        before = time.process_time()
        for _ in range(REQUESTS * 10):
            authentication.count(authentication.callers, "key:bench", 1_000_000)
        return (time.process_time() - before) / (REQUESTS * 10) * 1e6


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="nostro-bench-") as name, started(Path(name)) as environment:
        Path(name).chmod(0o711)
        os.environ.update(environment)
        from bench.world import build, migrate
        from portal import create_app

        migrate(dict(os.environ))
        app = create_app()
        send = requests_of(app, build(app).keys[0])
        own, theirs = [], []
        for number in range(ROUNDS + 1):
            one = cpu_us(send)
            with by_flask_limiter():
                other = cpu_us(send)
            if number:  # the first round prepares statements and fills caches
                own.append(one)
                theirs.append(other)
        count_us = alone_us(app)
        with by_flask_limiter():
            theirs_us = alone_us(app)
        print(f"the count alone: in process {count_us:.1f} us, Flask-Limiter {theirs_us:.1f} us")
        ratios = [other / one for one, other in zip(own, theirs, strict=True)]
        print(f"in process     {statistics.median(own):8.1f} us of processor time for a request")
        print(f"Flask-Limiter  {statistics.median(theirs):8.1f} us")
        print(
            f"ratio          {statistics.median(ratios):8.3f}  (of {ROUNDS} rounds of {REQUESTS};"
            f" {min(ratios):.3f} to {max(ratios):.3f})"
        )


if __name__ == "__main__":
    main()
