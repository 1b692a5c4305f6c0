"""flask seed: the reference data that Nostro comes with."""

from __future__ import annotations

from flask.cli import AppGroup

from portal.audit.chain_sealing import ChainsStopped, seal_all
from portal.cli.origin import OPS
from portal.cli.terminal import echo
from portal.core.db import transaction
from portal.reference.seeding import seed_reference
from portal.risk.seeding import seed_rules
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
    _seal()
    echo("Rate pairs come without a rate; set one with: flask rates set RUB 95.00")


def _seal() -> None:
    """However long it is until a clock runs: what is in a new installation was sealed when it was made."""
    try:
        seal_all()
    except ChainsStopped as stopped:
        echo(f"WARNING: nothing is sealed: {stopped}", err=True)


@seed.command("sandbox")
def sandbox() -> None:
    """Add the virtual traders of test mode, so that test orders find a requisite. Repeatable."""
    with transaction():
        added = seed_sandbox()
    echo(f"test requisites: {added} added")


@seed.command("risk-rules")
def risk_rules() -> None:
    """Add risk rules worth having that are missing, in shadow: they watch and refuse nothing. Repeatable."""
    with transaction():
        added = seed_rules(OPS)
    echo(f"risk rules: {added} added, in shadow; look with: flask risk rules list")
