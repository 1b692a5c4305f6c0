"""The line of each request, and the one redaction step."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from portal.core.observability import request_log


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The facts of the request lines that are written meanwhile."""
    written: list[dict[str, Any]] = []
    monkeypatch.setattr(request_log, "write_facts", written.append)
    return written


def test_a_request_is_one_line_with_its_rule_time_statements_and_bytes(
    client: FlaskClient, lines: list[dict[str, Any]]
) -> None:
    answer = client.get("/docs", headers={"X-Request-Id": "a-request-of-mine"})
    (line,) = lines
    assert line["request_id"] == answer.headers["X-Request-Id"] == "a-request-of-mine"
    assert (line["method"], line["route"], line["status"]) == ("GET", "/docs", answer.status_code)
    assert line["bytes_out"] == len(answer.data)
    assert line["ms"] > 0
