"""What commands print for programs: one line of JSON, moments in RFC 3339 and UTC, ids as text."""

from __future__ import annotations

import click
import orjson

from portal.cli.terminal import echo

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for a program to read.")


def echo_json(value: object) -> None:
    """Print it on stdout. Dataclasses are objects of their fields. Raises TypeError for what JSON can't say."""
    echo(orjson.dumps(value, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS).decode())
