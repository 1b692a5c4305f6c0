"""flask commands for ops: one file a noun."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable
from functools import cache, wraps
from importlib import import_module
from typing import Any

import click
from flask import Flask

from portal.core.db import is_out_of_service
from portal.core.observability.redaction import redact_text
from portal.core.text_rules import is_clean


def register(app: Flask) -> None:
    """Register every command group: each module of this package offers `commands`, a list."""
    for module in pkgutil.iter_modules(__path__):
        for command in getattr(import_module(f"{__name__}.{module.name}"), "commands", []):
            _speak_plainly(command)
            app.cli.add_command(command)


@cache
def _speak_plainly(command: click.Command) -> None:
    """A database that is away is one sentence on stderr and exit code 1, not a traceback."""
    if isinstance(command, click.Group):
        for each in command.commands.values():
            _speak_plainly(each)
    callback = command.callback
    if callback is None:
        return

    @wraps(callback)
    def call(*arguments: Any, **options: Any) -> Any:
        _refuse_hidden_text([*arguments, *options.values()])
        try:
            return callback(*arguments, **options)
        except Exception as error:
            if not is_out_of_service(error):
                raise
            why = redact_text(str(getattr(error, "orig", None) or error)).strip().partition("\n")[0]
            raise click.ClickException(
                f"The database can't be used now ({why}). flask doctor says more."
            ) from None

    command.callback = call


def _refuse_hidden_text(values: Iterable[object]) -> None:
    """Raises BadParameter for an argument that holds what people can't see: names and reasons are kept and shown."""
    for value in values:
        if isinstance(value, list | tuple):
            _refuse_hidden_text(value)
        elif isinstance(value, str) and not is_clean(value, lines=True):
            raise click.BadParameter("A text holds characters that can't be seen.")
