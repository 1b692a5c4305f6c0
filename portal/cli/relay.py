"""`flask relay`: hands on what happened and sends the webhooks."""

from __future__ import annotations

from typing import cast

import click
from flask import Flask, current_app
from flask.cli import with_appcontext


@click.command("relay")
@with_appcontext
def relay() -> None:
    """Relay events and send webhooks until stopped. Any number of these may run at once."""
    from portal.telemetry import take_role
    from portal.workers.relay import run_relay

    app = cast("Flask", current_app._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001
    take_role(app, "relay")
    run_relay(app)


commands = [relay]
