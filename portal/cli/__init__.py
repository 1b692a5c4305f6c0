"""flask commands for ops: one file a noun."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from flask import Flask


def register(app: Flask) -> None:
    """Register every command group: each module of this package offers `commands`, a list."""
    for module in pkgutil.iter_modules(__path__):
        for command in getattr(import_module(f"{__name__}.{module.name}"), "commands", []):
            app.cli.add_command(command)
