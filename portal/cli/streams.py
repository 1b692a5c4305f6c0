"""`flask streams`: the open streams of all pages."""

from __future__ import annotations

import os
import sys

import click


@click.command("streams")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where streams are served.")
@click.option("--port", type=click.IntRange(1, 65535), default=8001, show_default=True)
@click.option(
    "--web",
    default="http://127.0.0.1:8000",
    show_default=True,
    help="Where the web's processes answer; not the proxy, which would lead back here.",
)
def streams(host: str, port: int, web: str) -> None:
    """Serve /streams/... until stopped. Any number of these may run, on one machine at one port."""
    # In place of this one: with the whole house in its memory the process would be three times as large.
    arguments = ("-m", "portal.workers.streams", "--host", host, "--port", str(port), "--web", web)
    os.execv(sys.executable, (sys.executable, *arguments))  # noqa: S606 - a program of ours


commands = [streams]
