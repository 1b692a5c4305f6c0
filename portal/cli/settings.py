"""flask settings: what the operator can change while Nostro runs."""

from __future__ import annotations

from typing import Any

import click
from flask.cli import AppGroup

from portal.cli.origin import OPS
from portal.cli.terminal import echo
from portal.core.db import transaction
from portal.core.errors import DomainError
from portal.reference import configuration, setting_changes

settings = AppGroup("settings", help="List, read and change settings kept in the database.")
commands = [settings]


@settings.command("list")
def list_all() -> None:
    """Every setting with its value, its bounds and what it does."""
    for state in setting_changes.list_settings():
        setting = state.setting
        bounds = f", {setting.minimum} to {setting.maximum}" if setting.minimum is not None else ""
        changed = "" if state.is_default else f"  (changed, default {_shown(setting.default)})"
        echo(f"{setting.key} = {_shown(state.value)}{changed}")
        echo(f"    {setting.sentence} [{setting.type_name}{bounds}]")


@settings.command("get")
@click.argument("key")
def get_one(key: str) -> None:
    """Print the value of KEY."""
    try:
        echo(_shown(configuration.get(key)))
    except DomainError as error:
        raise click.ClickException(error.detail) from None


@settings.command("set")
@click.argument("key")
@click.argument("value", required=False)
@click.option("--default", "to_default", is_flag=True, help="Go back to the default.")
def set_one(key: str, value: str | None, to_default: bool) -> None:
    """Set KEY to VALUE, or back to its default. In force everywhere within seconds."""
    if (value is None) != to_default:
        raise click.UsageError("Give either a value or --default.")
    try:
        with transaction():
            if value is None:
                setting_changes.reset(key, OPS)
            else:
                setting_changes.set_value(key, setting_changes.parse(configuration.find(key), value), OPS)
        echo(f"{key} = {_shown(configuration.get(key))}")
    except DomainError as error:
        raise click.ClickException(error.detail) from None


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
