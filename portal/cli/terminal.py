"""What commands print: the terminal obeys nothing of what people wrote."""

from __future__ import annotations

import click

from portal.core.text_rules import escaped


def echo(message: object = "", *, nl: bool = True, err: bool = False) -> None:
    """As click.echo, with what a terminal would obey (ESC, direction marks) written as escapes."""
    click.echo(escaped(str(message)), nl=nl, err=err)
