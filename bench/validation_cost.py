"""What checking the body of `POST /orders` costs: ours against spectree, processor time of a minimal route.

Run it where spectree is installed beside the project's requirements: `python -m bench.validation_cost`.
"""

from __future__ import annotations

import io
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, request

from portal.api.strict_json import read_json
from portal.api.v1.orders_schemas import CreateOrder
from portal.api.validation import validated

_BODY = json.dumps(
    {
        "direction": "payin", "amount": "1500.00", "currency": "RUB", "method": "card", "external_id": "order-1",
        "customer": {"id": "c-1"}, "metadata": {"cart": "9f"},
    }
).encode()  # fmt: skip
ROUNDS, REQUESTS = 9, 2000


def plain() -> Flask:
    """Flask with JSON parsed by Flask and nothing checked: what both sides stand on."""
    app = Flask(__name__)

    @app.post("/orders")
    def create() -> Response:
        request.get_json()
        return Response(b"{}", mimetype="application/json")

    return app


def ours() -> Flask:
    app = Flask(__name__)

    @app.post("/orders")
    def create() -> Response:
        validated(CreateOrder, read_json(request))
        return Response(b"{}", mimetype="application/json")

    return app


def by_spectree() -> Flask:
    from spectree import SpecTree

    app = Flask(__name__)
    spec = SpecTree("flask", annotations=True)

    @app.post("/orders")
    @spec.validate()
    def create(json: CreateOrder) -> Response:  # noqa: ARG001 - spectree reads its annotation
        return Response(b"{}", mimetype="application/json")

    spec.register(app)
    return app


def _requests(app: Flask) -> Callable[[int], float]:
    """Microseconds of processor time for each of so many requests, without a socket."""

    def start_response(
        status: str, _headers: list[tuple[str, str]], _problem: Any = None
    ) -> Callable[..., None]:
        assert status.startswith("200"), status
        return lambda _data: None

    def run(count: int) -> float:
        start = time.process_time()
        for _ in range(count):
            environ = {
                "REQUEST_METHOD": "POST", "PATH_INFO": "/orders", "SERVER_NAME": "localhost", "SERVER_PORT": "80",
                "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(_BODY), "CONTENT_LENGTH": str(len(_BODY)),
                "CONTENT_TYPE": "application/json", "HTTP_HOST": "localhost", "SERVER_PROTOCOL": "HTTP/1.1",
            }  # fmt: skip
            b"".join(app.wsgi_app(environ, start_response))
        return (time.process_time() - start) / count * 1e6

    return run


def main() -> None:
    sides = {
        name: _requests(make())
        for name, make in {"plain": plain, "ours": ours, "spectree": by_spectree}.items()
    }
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for run in sides.values():
        run(REQUESTS // 4)
    for _ in range(ROUNDS):
        for name, run in sides.items():
            taken[name].append(run(REQUESTS))
    medians = {name: statistics.median(values) for name, values in taken.items()}
    for name, value in medians.items():
        print(f"{name}: {value:.0f} us a request, {value - medians['plain']:+.0f} over the plain route")


if __name__ == "__main__":
    main()
