"""How an answer of the API is made: JSON bytes, never cached, never sniffed."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Response

JSON = "application/json"


def answer(value: Any, status: int = 200) -> Response:
    """A JSON answer of plain values (dict, list, str, int, bool, None)."""
    return json_answer(orjson.dumps(value), status)


def json_answer(body: bytes | str, status: int = 200) -> Response:
    """An answer of JSON text that is ready."""
    response = Response(body, status=status)
    response.headers["Content-Type"] = JSON
    return response


def no_content() -> Response:
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response
