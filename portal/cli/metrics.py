"""`flask metrics`: what Prometheus reads; `flask version`: what runs."""

from __future__ import annotations

from typing import cast

import click
from flask import Flask, current_app
from flask.cli import with_appcontext

from portal.cli.json_output import AS_JSON, echo_json
from portal.cli.terminal import echo
from portal.core.build import build_facts
from portal.settings import get_settings


@click.command("metrics")
@click.option("--host", default="127.0.0.1", show_default=True, help="Keep it to networks of yours.")
@click.option("--port", type=click.IntRange(1, 65535), default=9464, show_default=True)
@with_appcontext
def metrics(host: str, port: int) -> None:
    """Serve /metrics until stopped: all processes that share METRICS_DIR, the database and the queue."""
    from portal.telemetry import take_role
    from portal.workers.exporter import run_exporter

    app = cast("Flask", current_app._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001
    take_role(app, "metrics")
    run_exporter(app, host, port)


@click.command("version")
@AS_JSON
def version(as_json: bool) -> None:
    """Print the version, and which release of it this is."""
    facts = build_facts(get_settings())
    if as_json:
        echo_json(facts)
        return
    for name, value in facts.items():
        echo(f"{name:10} {value or '(not set)'}")


commands = [metrics, version]
