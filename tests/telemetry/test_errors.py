"""Errors: to the log, to Sentry and into rows, from one stream and after one redaction (L3, canary)."""

from __future__ import annotations

import gzip
import json
import logging
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import redis as redis_client
from flask import Flask
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from portal.core.db import db, statement_comments, transaction
from portal.core.jobs import JOBS, enqueue_job, queue_on
from portal.core.observability.log_writer import LineWriter
from portal.core.observability.logging import _formatter as formatter_of
from portal.core.observability.redaction import REMOVED, redact, redact_text
from portal.core.observability.trace import current, traced
from portal.error_reports.queries import find_error_reports_of_request, list_error_reports
from portal.settings import child_environment
from portal.telemetry import recorder_of

ROOT = Path(__file__).resolve().parents[2]
# Put together here, so that the source itself, of which an error quotes lines, has none of them whole.
CANARIES = (
    "4111" + "111111111111",
    "4111 1111" + " 1111 1111",
    "DE89370400" + "440532013000",
    "+7916" + "1234567",
    "4081781009" + "9910004312",
    "nst_live_" + "canary0canary0canary0",
    "canary.payer" + "@example.com",
    "Bearer " + "canary-canary-canary",
    "whsec_" + "Y2FuYXJ5Y2FuYXJ5",
    "canary-" + "hunter2-password",
)


def with_canaries() -> str:
    *plain, password = CANARIES
    return "; ".join(plain) + f'; password="{password}"'


@pytest.mark.parametrize("canary", CANARIES[:-1])
def test_l3_what_must_not_be_kept_is_removed_wherever_it_stands(canary: str) -> None:
    assert canary not in redact_text(f"before {canary} after")
    assert canary not in str(redact({"note": [f"x={canary}"], "deep": {"deeper": (canary,)}}))


def test_l3_what_stands_under_a_secrets_name_is_removed_whole() -> None:
    kept = redact(
        {"password": "a", "Authorization": ["b"], "api_key": {"c": 1}, "number": 4111, "status": 200}
    )
    assert kept == {
        "password": REMOVED, "Authorization": REMOVED, "api_key": REMOVED, "number": REMOVED, "status": 200,
    }  # fmt: skip


@pytest.mark.parametrize(
    "harmless",
    ["2026-11-23T02:43:42.123+00:00", "ord_01h2abc0123456789012345678", "019a1234-5678-7123-8456-123456789012",
     "sqlstate 40001, 3 of 200 orders", "/api/v1/orders answered 201 in 12.5 ms"],
)  # fmt: skip
def test_what_operators_need_stays_legible(harmless: str) -> None:
    assert redact_text(harmless) == harmless


@pytest.mark.proves("ASVS 41")
def test_a_log_line_has_the_request_and_no_canary(committed_db: Flask) -> None:
    try:
        raise ValueError(with_canaries())
    except ValueError:
        record = logging.LogRecord(
            "portal.x", 40, __file__, 1, "failed for %s", (with_canaries(),), sys.exc_info()
        )
    record.token = CANARIES[0]
    with traced("/api/v1/orders", "a-request-of-mine"):
        line = formatter_of(is_json=True).format(record)
    facts = json.loads(line)
    assert facts["request_id"] == "a-request-of-mine"
    assert facts["level"] == "error"
    assert "ValueError" in facts["exception"]
    assert not [canary for canary in CANARIES if canary in line]


def test_equal_errors_become_one_row_that_counts(committed_db: Flask) -> None:
    log = logging.getLogger("portal.tests.errors")
    recorder = recorder_of(committed_db)
    logging.getLogger().addHandler(recorder)
    recorder.flush_reports()
    try:
        for number in range(3):
            with traced("job", f"request-{number}"):
                try:
                    raise KeyError(with_canaries())
                except KeyError:
                    log.exception("attempt %s failed", number)
        assert recorder.flush_reports() == 1
        log.error("attempt %s failed", 4)
        assert recorder.flush_reports() == 1
    finally:
        logging.getLogger().removeHandler(recorder)
    report = next(each for each in list_error_reports() if each.kind == "builtins.KeyError")
    assert (report.count, report.request_ids) == (3, ["request-2", "request-1", "request-0"])
    assert report.first_at <= report.last_at
    assert "KeyError" in report.sample
    assert not [canary for canary in CANARIES if canary in report.sample]
    assert [each.id for each in find_error_reports_of_request("request-1")] == [report.id]
    assert {each.kind for each in list_error_reports()} >= {"builtins.KeyError", "portal.tests.errors"}


def test_an_error_that_cant_be_written_waits_for_the_next_time(
    committed_db: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = recorder_of(committed_db)
    written: list[int] = []

    def fail(_counted: list[Any]) -> None:
        raise ConnectionError

    record = logging.LogRecord("portal.y", 40, __file__, 1, "the database is away", (), None)
    recorder.flush_reports()
    recorder.emit(record)
    monkeypatch.setattr(recorder, "_write", fail)
    assert recorder.flush_reports() == 0
    recorder.emit(record)
    monkeypatch.setattr(recorder, "_write", lambda counted: written.extend(each.count for each in counted))
    assert recorder.flush_reports() == 1
    assert written == [2]


FAILING = """
import logging, sys
from portal import create_app
from portal.core.observability.trace import traced
app = create_app()
words = sys.argv[1]
@app.get("/fails")
def fails():
    number = words
    raise RuntimeError(words)
app.test_client().get("/fails?token=" + words, headers={"X-Request-Id": "a-request-of-mine", "Cookie": words})
with traced("job: x", "a-job-of-mine"):
    logging.getLogger("portal.jobs").error("job failed: %s", words, extra={"note": words})
raise SystemError(words)
"""


class Sentry:
    """A receiver of events in Sentry's place."""

    def __init__(self, server: HTTPServer) -> None:
        self.heard: list[str] = []
        server.expect_request("/api/1/envelope/").respond_with_handler(self._receive)
        self.dsn = server.url_for("/1").replace("://", "://" + "0123456789abcdef0123456789abcdef@")

    def _receive(self, request: Request) -> Response:
        body = request.get_data()
        is_packed = request.headers.get("Content-Encoding") == "gzip"
        self.heard.append((gzip.decompress(body) if is_packed else body).decode())
        return Response("{}", content_type="application/json")

    @property
    def environment(self) -> dict[str, str]:
        return child_environment(SENTRY_DSN=self.dsn, RELEASE="a-release", LOG_FORMAT="json")

    @property
    def events(self) -> list[dict[str, Any]]:
        lines = [line for text in list(self.heard) for line in text.splitlines()]
        return [json.loads(line) for line in lines if '"event_id"' in line and '"level"' in line]

    def canaries(self) -> list[str]:
        everything = "".join(self.heard)
        return [canary for canary in CANARIES if canary in everything]


@pytest.fixture
def sentry(httpserver: HTTPServer) -> Sentry:
    return Sentry(httpserver)


def test_sentry_hears_of_errors_with_the_request_and_no_canary(sentry: Sentry, committed_db: Flask) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FAILING, with_canaries()], cwd=ROOT, text=True, timeout=60, check=False,
        env=sentry.environment, capture_output=True,
    )  # fmt: skip
    events = sentry.events
    assert len(events) == 3, done.stderr
    assert {event["tags"].get("request_id") for event in events} == {
        "a-request-of-mine",
        "a-job-of-mine",
        None,
    }
    assert {event["release"] for event in events} == {"a-release"}
    kinds = {value["type"] for event in events for value in event.get("exception", {}).get("values", [])}
    assert kinds == {"RuntimeError", "SystemError"}
    assert sentry.canaries() == []
    lines = [line for line in done.stderr.splitlines() if line.startswith("{")]
    assert any(json.loads(line).get("route") == "/fails" for line in lines)
    assert not [canary for canary in CANARIES for line in lines if canary in line]


BROKEN_COMMAND = """
import click
from portal import create_app
app = create_app()
@app.cli.command("break")
@click.argument("words")
def fail(words):
    raise RuntimeError(words)
"""


def test_sentry_hears_of_a_command_that_broke(sentry: Sentry, committed_db: Flask, tmp_path: Path) -> None:
    (tmp_path / "broken_command.py").write_text(BROKEN_COMMAND)
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", str(tmp_path / "broken_command.py"), "break", with_canaries()],
        cwd=ROOT, env=sentry.environment, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    (event,) = sentry.events
    assert (event["release"], event["tags"]["role"]) == ("a-release", "cli")
    assert event["exception"]["values"][-1]["type"] == "RuntimeError"
    assert sentry.canaries() == []


def test_sentry_hears_of_a_job_that_broke_in_a_worker(
    sentry: Sentry, committed_db: Flask, redis: redis_client.Redis
) -> None:
    words = {"words": with_canaries()}
    queue_on(redis).enqueue_call(
        f"{JOBS}.match_waiting", kwargs=words, meta={"request_id": "a-request-of-mine"}
    )
    worker = subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "wsgi:app", "worker"],
        cwd=ROOT, env=sentry.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        ends_at = time.monotonic() + 60
        while not sentry.events and time.monotonic() < ends_at:
            time.sleep(0.05)
    finally:
        worker.terminate()
        said, _ = worker.communicate(timeout=20)
    (event,) = sentry.events
    assert (event["release"], event["tags"]["role"]) == ("a-release", "worker")
    assert event["tags"]["request_id"] == "a-request-of-mine"
    assert "TypeError" in event["logentry"]["formatted"]
    assert sentry.canaries() == []
    assert not [canary for canary in CANARIES if canary in said]


def test_nothing_is_sent_without_a_dsn(committed_db: Flask) -> None:
    import sentry_sdk

    assert not sentry_sdk.get_client().is_active()


def test_statements_of_the_orm_say_which_request_sent_them(committed_db: Flask) -> None:
    sent: list[str] = []
    from sqlalchemy import event

    def hear(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)

    event.listen(db.engine, "after_cursor_execute", hear)
    try:
        with traced("/trader/queue", "a-request-of-mine") as trace:
            list_error_reports()
            with transaction():
                db.session.execute(db.text("UPDATE heartbeat SET beat_at = beat_at WHERE false"))
    finally:
        event.remove(db.engine, "after_cursor_execute", hear)
    read, write = (next(text for text in sent if text.startswith(verb)) for verb in ("SELECT", "UPDATE"))
    # A read's text must stay the same from request to request, or it is never prepared.
    assert read.endswith("/*route='/trader/queue'*/")
    assert write.endswith("/*request_id='a-request-of-mine',route='/trader/queue'*/")
    assert trace.queries == len(sent)
    assert statement_comments.comment("SELECT 1", reads_only=True) == "SELECT 1"


def test_a_job_has_the_id_of_the_request_that_asked_for_it(
    committed_db: Flask, redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rq.timeouts import TimerDeathPenalty

    from portal.core.jobs import queue_on
    from portal.workers import jobs
    from portal.workers.queue import TracedWorker

    seen: list[str | None] = []

    def look() -> int:
        work = current.get()
        seen.append(None if work is None else work.request_id)
        return 0

    monkeypatch.setattr(jobs, "match_waiting", look)
    with traced("/api/v1/orders", "a-request-of-mine"):
        enqueue_job("match_waiting")
    worker = TracedWorker([queue_on(redis)], connection=redis, serializer=queue_on(redis).serializer)
    worker.death_penalty_class = TimerDeathPenalty
    # Its signal handlers would stay with the test run.
    monkeypatch.setattr(worker, "_install_signal_handlers", lambda: None)
    worker.work(burst=True, logging_level="WARNING")
    assert seen == ["a-request-of-mine"]


def test_f21_nobody_waits_for_a_log_that_cant_be_written(tmp_path: Path) -> None:
    import os
    import time

    reading, writing = os.pipe()
    try:
        writer = LineWriter(writing)
        began_at = time.monotonic()
        for _ in range(30_000):  # far more than the pipe and the queue take
            writer.put(b"x" * 99 + b"\n")
        assert time.monotonic() - began_at < 5
        assert writer.dropped > 0
    finally:
        os.close(reading)
        time.sleep(0.05)
        os.close(writing)
