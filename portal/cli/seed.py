"""flask seed: the reference data that Nostro comes with."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from portal.core.db import transaction
from portal.reference.seeding import seed_reference

seed = AppGroup("seed", help="Add the data that Nostro comes with.")
commands = [seed]


@seed.command("reference")
def reference() -> None:
    """Add missing currencies, methods, banks and rate pairs; what is there stays as it is."""
    with transaction():
        added = seed_reference()
    for what, count in added.items():
        click.echo(f"{what}: {count} added")
    click.echo("Rate pairs come without a rate; set one with: flask rates set RUB 95.00")
