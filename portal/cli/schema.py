"""`flask db downgrade` asks twice where there are orders; the other commands of `flask db` are Flask-Migrate's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from flask_migrate import cli as flask_migrate
from sqlalchemy import text

from portal.core.db import db

_HAS_TABLE = "SELECT to_regclass('orders') IS NOT NULL"
_HAS_ORDERS = "SELECT EXISTS (SELECT 1 FROM orders)"


def refuse_to_lose_orders(*, is_told: bool, database: str | None) -> None:
    """Going back drops what newer versions wrote: on a database with orders it must be told twice.

    Told twice is `--lose-data` and the database's own name. Raises ClickException, before anything is locked.
    """
    with db.engine.connect() as connection:
        name = str(connection.execute(text("SELECT current_database()")).scalar_one())
        if not connection.execute(text(_HAS_TABLE)).scalar_one():
            return
        if not connection.execute(text(_HAS_ORDERS)).scalar_one():
            return
    if is_told and database == name:
        return
    raise click.ClickException(
        f"{name} has orders, and going back drops what newer versions wrote. Nothing was changed.\n"
        "To go back to an older program, start it as it is: migrations are written so that old code serves beside them.\n"
        "If you must: stop everything, make a backup (flask backup create), and say it twice:\n"
        f"  flask db downgrade REVISION --lose-data --database {name}"
    )


def _ask_twice(downgrade: click.Command) -> None:
    going_back: Callable[..., Any] = downgrade.callback  # type: ignore[assignment]

    @click.pass_context
    def asked(context: click.Context, /, *, lose_data: bool, database: str | None, **options: Any) -> Any:
        if not options["sql"]:  # which only prints what would be done
            refuse_to_lose_orders(is_told=lose_data, database=database)
        return context.invoke(going_back, **options)

    downgrade.callback = asked
    downgrade.params += [
        click.Option(["--lose-data"], is_flag=True, help="What newer versions wrote may be dropped."),
        click.Option(["--database"], help="The name of the database that is meant."),
    ]


_ask_twice(flask_migrate.db.commands["downgrade"])
commands = [flask_migrate.db]
