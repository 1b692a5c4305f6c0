"""`/metrics`: what is counted, by whom, and under which names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from portal.audit.chain_sealing import seal_all
from portal.core.db import hot, transaction
from portal.core.observability import metrics
from portal.error_reports.service import record_proof
from portal.events.relay import relay_events
from portal.settings import child_environment, is_flask_command
from portal.workers.exporter import ProcessFigures, registry_of, server_on
from portal.workers.order_metrics import CONDITIONS
from portal.workers.relay import handle_events
from tests.scene import Scene, build_scene

ROOT = Path(__file__).resolve().parents[2]
# Each label, and what bounds it: rules of the router, enumerations of ours, rows of the reference data.
BOUNDED = {"queue", "pair", "chain",
    "method", "route", "status", "code", "type", "mode", "direction", "currency", "reason", "result", "job", "limit",
    "duty", "role", "state", "kind", "reader", "le", "version", "release", "python",
}  # fmt: skip


def value_of(text: str, name: str, **labels: str) -> float | None:
    # Whatever ran before in this process is counted too: reading all of it takes long.
    lines = [line for line in text.splitlines() if line.startswith(name)]
    for family in text_string_to_metric_families("\n".join([*lines, ""])):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return sample.value
    return None


def served(app: Flask) -> str:
    return generate_latest(registry_of(app, None)).decode()


@pytest.fixture
def scene(committed_db: Flask) -> Scene:
    with transaction():
        return build_scene()


def test_a_request_is_counted_under_its_rule_and_an_invented_path_under_none(client: FlaskClient) -> None:
    for path in ("/pay/an-invented-token-of-somebody", "/nowhere/1", "/nowhere/2"):
        client.get(path)
    client.open("/healthz", method="BREW")
    text = generate_latest(metrics.registry).decode()
    assert "an-invented-token" not in text
    assert "nowhere" not in text
    assert "BREW" not in text
    assert value_of(
        text, "nostro_http_request_duration_seconds_count", route="(none)", status="4xx", method="GET"
    )
    assert value_of(text, "nostro_http_request_duration_seconds_count", route="/pay/<token>")


def test_no_label_is_unbounded_and_every_name_follows_the_conventions(
    committed_db: Flask, client: FlaskClient
) -> None:
    client.get("/healthz")
    rules = {rule.rule for rule in committed_db.url_map.iter_rules()} | {"(none)"}
    for family in text_string_to_metric_families(served(committed_db)):
        assert re.fullmatch(r"nostro_[a-z_]+", family.name), family.name
        assert family.documentation, family.name
        assert family.type not in {"gauge", "histogram"} or not family.name.endswith("_total"), family.name
        assert "_ms" not in family.name
        assert "milliseconds" not in family.name
        for sample in family.samples:
            assert set(sample.labels) <= BOUNDED, sample
            assert sample.labels.get("route", "(none)") in rules, sample
            if "route" in sample.labels:
                assert sample.labels["method"] in metrics.METHODS | {"OTHER"}
            assert sample.labels.get("reason", "other") in CONDITIONS | {"other"}
            assert not any(
                re.search(r"[0-9a-f]{12}|_[0-9a-z]{26}", value) for value in sample.labels.values()
            )


def test_refusals_of_the_api_are_counted_by_their_code(client: FlaskClient) -> None:
    def refused() -> float:
        text = generate_latest(metrics.registry).decode()
        return value_of(text, "nostro_refusals_total", code="missing_credentials") or 0

    before = refused()
    client.get("/api/v1/orders")
    assert refused() == before + 1


def test_orders_are_counted_by_the_relay_once_they_are_told(scene: Scene, committed_db: Flask) -> None:
    def now() -> tuple[float, float]:
        text = served(committed_db)
        told = value_of(text, "nostro_order_events_total", type="order.matched", mode="live") or 0
        waited = value_of(text, "nostro_match_wait_seconds_count", mode="live") or 0
        return told, waited

    with transaction():
        scene.requisite(scene.trader())
    before = now()
    with transaction():
        scene.payin()
    assert now() == before
    relay_events(handle_events)
    assert now() == (before[0] + 1, before[1] + 1)
    assert (
        value_of(served(committed_db), "nostro_open_orders", status="awaiting_payment", direction="payin")
        == 1
    )
    assert value_of(served(committed_db), "nostro_outbox_events") == 0


def test_the_ledgers_proof_shows_its_age_and_result(committed_db: Flask) -> None:
    with transaction():
        record_proof("ledger", duration_ms=1500, checks=9, broken=2, findings=[])
    text = served(committed_db)
    assert value_of(text, "nostro_ledger_verification_broken_checks") == 2
    assert value_of(text, "nostro_ledger_verification_duration_seconds") == 1.5
    assert value_of(text, "nostro_ledger_verification_timestamp_seconds") is not None


@pytest.mark.proves("tried C11")
def test_a_chain_that_is_not_sealed_shows(committed_db: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    seal_all()
    assert value_of(served(committed_db), "nostro_chain_stopped", chain="ledger") == 0
    monkeypatch.setattr("portal.audit.chain_links.clock", lambda: datetime.now(UTC) + timedelta(hours=2))
    silent_s = value_of(served(committed_db), "nostro_chain_silent_seconds", chain="ledger")
    assert silent_s is not None
    assert silent_s >= 7200
    with transaction():
        hot("SET LOCAL session_replication_role = replica")
        hot("DELETE FROM chain_link WHERE chain = 'ledger'")
    assert value_of(served(committed_db), "nostro_chain_stopped", chain="ledger") == 1
    assert value_of(served(committed_db), "nostro_chain_silent_seconds", chain="ledger") is None


def test_what_cant_be_read_is_missing_and_the_rest_is_served(
    committed_db: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    from portal.settings import get_settings

    nowhere = get_settings().model_copy(
        update={"redis_url": type(get_settings().redis_url)("redis://127.0.0.1:1")}
    )
    monkeypatch.setattr("portal.workers.stored_figures.get_settings", lambda: nowhere)
    text = served(committed_db)
    assert value_of(text, "nostro_scrape_ok", reader="queue") == 0
    assert value_of(text, "nostro_queue_jobs") is None
    assert value_of(text, "nostro_scrape_ok", reader="outbox") == 1


COUNTING = """
import sys, time
from portal.core.observability import metrics, process_metrics
from portal.settings import get_settings
process_metrics.start(get_settings(), "web", lambda: None)
metrics.note_request("GET", "/healthz", 200, 0.01)
metrics.streams.labels("page").set(3)
process_metrics.touch_own_files()
print("counted", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def two_processes(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", COUNTING], env=child_environment(METRICS_DIR=str(tmp_path)), cwd=ROOT,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "counted\n"
    yield running
    for process in running:
        process.kill()
        process.wait()


def test_several_processes_add_up_and_a_dead_ones_streams_no_longer_count(
    two_processes: list[subprocess.Popen[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def totals() -> tuple[float | None, float | None]:
        families = {family.name: family for family in ProcessFigures(tmp_path).collect()}
        counted = families["nostro_http_request_duration_seconds"].samples
        gauge = families.get("nostro_live_streams")
        count = next(sample.value for sample in counted if sample.name.endswith("_count"))
        return count, gauge.samples[0].value if gauge else None

    assert totals() == (2, 6)
    two_processes[0].kill()
    two_processes[0].wait()
    pid = two_processes[0].pid
    for file in tmp_path.glob(f"gauge_live*-{pid}-*.db"):
        os.utime(file, (1, 1))  # as long ago as it was not touched
    assert totals() == (2, 3)


def test_the_exporter_serves_metrics_on_its_own_port_and_nothing_else(committed_db: Flask) -> None:
    server = server_on(committed_db, "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        with urllib.request.urlopen(f"{address}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        assert value_of(text, "nostro_build_info", version="0.1.0") == 1
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{address}/", timeout=10)
    finally:
        server.shutdown()
        thread.join(5)


@pytest.mark.proves("ASVS 37")
def test_the_site_itself_serves_no_metrics(client: FlaskClient) -> None:
    assert client.get("/metrics").status_code == 404


def test_a_server_that_a_command_starts_counts_as_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "true")
    assert is_flask_command()
    code = "from portal.settings import is_flask_command; raise SystemExit(is_flask_command())"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], env=child_environment(), cwd=ROOT, check=False
        ).returncode
        == 0
    )
