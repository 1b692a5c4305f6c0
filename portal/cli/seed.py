"""flask seed: the reference data that Nostro comes with."""

from __future__ import annotations

from flask.cli import AppGroup

from portal.cli.terminal import echo
from portal.core.db import transaction
from portal.reference.seeding import seed_reference
from portal.traders.sandbox import seed_sandbox

seed = AppGroup("seed", help="Add the data that Nostro comes with.")
commands = [seed]


@seed.command("reference")
def reference() -> None:
    """Add missing currencies, methods, banks and rate pairs; what is there stays as it is."""
    with transaction():
        added = seed_reference()
    for what, count in added.items():
        echo(f"{what}: {count} added")
    echo("Rate pairs come without a rate; set one with: flask rates set RUB 95.00")


@seed.command("sandbox")
def sandbox() -> None:
    """Add the virtual traders of test mode, so that test orders find a requisite. Repeatable."""
    with transaction():
        added = seed_sandbox()
    echo(f"test requisites: {added} added")
