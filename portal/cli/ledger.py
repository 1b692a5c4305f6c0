"""`flask ledger`: prove the books, and read a balance."""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict

import click
from flask.cli import AppGroup

from portal.core.db import db, hot
from portal.core.ids import parse_public_id, public_id
from portal.core.modes import Mode
from portal.core.money import format_amount
from portal.ledger import verification
from portal.ledger.models import OwnerKind
from portal.ledger.queries import list_balances
from portal.orders import verification as order_verification
from portal.reference.queries import get_currency

ledger = AppGroup("ledger", help="Prove the books, and read balances.")
_PREFIX = {OwnerKind.STORE: "st", OwnerKind.TRADER: "trd", OwnerKind.LEAD: "usr"}


@ledger.command("verify")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def verify(as_json: bool) -> None:
    """Check every invariant over the whole history. Exit code 1 when one is broken."""
    hot("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
    hot("SET LOCAL statement_timeout = 0")
    checks = (*verification.CHECKS, *order_verification.CHECKS)
    findings = []
    counted = hot(
        "SELECT (SELECT count(*) FROM ledger_entry) AS entries, (SELECT count(*) FROM ledger_posting) AS postings, (SELECT count(*) FROM orders) AS orders"
    )[0]
    if as_json:
        for check in checks:
            findings += verification.run_checks((check,))
        click.echo(json.dumps({"checked": counted, "findings": [asdict(found) for found in findings]}))
    else:
        for check in checks:
            found = verification.run_checks((check,))
            findings += found
            click.echo(f"{'BROKEN' if found else 'ok':>6}  {check.name}")
            for finding in found:
                click.echo(f"        {finding.count} broken, for example: " + "; ".join(finding.examples))
        click.echo(_summary(counted, len(findings)))
    db.session.rollback()
    if findings:
        raise SystemExit(1)


def _summary(counted: dict[str, int], broken: int) -> str:
    verdict = "All invariants hold" if not broken else f"{broken} invariants are BROKEN"
    return f"{verdict} over {counted['entries']} entries, {counted['postings']} postings and {counted['orders']} orders."


@ledger.command("balance")
@click.argument("owner")
@click.option("--mode", type=click.Choice([mode.value for mode in Mode]), default="live", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the balances as JSON.")
def balance(owner: str, mode: str, as_json: bool) -> None:
    """Exact balances of OWNER: platform, world, or the id of a store, trader or lead."""
    kind, owner_id = _owner(owner)
    rows = [
        {
            "account": found.kind.value,
            "currency": found.currency,
            "balance": format_amount(found.minor, get_currency(found.currency).exponent),
        }
        for found in list_balances(kind, owner_id, Mode(mode))
    ]
    if as_json:
        click.echo(json.dumps({"owner": owner, "mode": mode, "balances": rows}))
        return
    for row in rows:
        click.echo(f"{row['account']:<12} {row['balance']:>22} {row['currency']}")
    if not rows:
        click.echo(f"{owner} has no {mode} accounts.")


def _owner(text: str) -> tuple[OwnerKind, uuid.UUID | None]:
    if text in {OwnerKind.PLATFORM.value, OwnerKind.WORLD.value}:
        return OwnerKind(text), None
    for kind, prefix in _PREFIX.items():
        owner_id = parse_public_id(prefix, text)
        if owner_id is not None:
            return kind, owner_id
    examples = ", ".join(public_id(prefix, uuid.UUID(int=0))[:8] + "..." for prefix in _PREFIX.values())
    raise click.BadParameter(f"give platform, world, or an id ({examples})", param_hint="OWNER")


commands = [ledger]
