"""flask stores: what staff set for a store."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from portal.cli.origin import OPS
from portal.core.db import transaction
from portal.core.errors import DomainError
from portal.core.ids import parse_public_id
from portal.core.money import AmountError, format_amount, parse_amount
from portal.merchants.queries import get_store
from portal.merchants.tolerance import MOST_BPS, MOST_UNITS, Tolerance, set_tolerance, tolerance_of
from portal.reference.queries import get_currency

stores = AppGroup("stores", help="What is set for a store.")
commands = [stores]


@stores.command("tolerance")
@click.argument("store", metavar="STORE")
@click.option(
    "--bps",
    type=int,
    help=f"Ten-thousandths of the order's amount: 100 is one percent. At most {MOST_BPS}.",
)
@click.option(
    "--amount", help=f"In the store's settlement currency, such as 5.00. At most {MOST_UNITS} units of it."
)
@click.option("--reason", help="Kept in the audit log. Required to change anything.")
def tolerance(store: str, bps: int | None, amount: str | None, reason: str | None) -> None:
    """How far what came may be from an order's amount without the customer's word; both limits hold."""
    key = parse_public_id("st", store)
    if key is None:
        raise click.ClickException(f"{store} is not the id of a store (st_...).")
    try:
        with transaction():
            currency = get_store(key).settlement_currency
            exponent = get_currency(currency).exponent
            found = tolerance_of(key)
            if bps is None and amount is None:
                click.echo(_words(found, exponent, currency))
                return
            minor = found.minor if amount is None else _minor(amount, exponent)
            new = Tolerance(found.bps if bps is None else bps, minor)
            before = set_tolerance(key, new, reason, actor=OPS)
    except DomainError as error:
        said = error.errors[0].message if error.errors else error.detail
        raise click.ClickException(f"{said} ({error.code})") from None
    click.echo(f"{_words(new, exponent, currency)}; it was {_words(before, exponent, currency)}")


def _minor(amount: str, exponent: int) -> int:
    """Settlement minor units; 0 is none at all."""
    if amount.strip("0.") == "":
        return 0
    try:
        return parse_amount(amount, exponent)
    except AmountError as error:
        raise click.ClickException(str(error)) from None


def _words(one: Tolerance, exponent: int, currency: str) -> str:
    return f"{one.bps} bps and {format_amount(one.minor, exponent)} {currency}"
