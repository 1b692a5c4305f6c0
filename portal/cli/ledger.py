"""`flask ledger`: proof over the whole history, and anybody's balances."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import click
from flask.cli import AppGroup

from portal.audit.findings import Finding
from portal.audit.heads import UnreadableHeads
from portal.cli.json_output import AS_JSON, echo_json
from portal.cli.terminal import echo
from portal.core.ids import parse_public_id, public_id
from portal.core.modes import Mode
from portal.core.money import format_amount
from portal.ledger.models import OwnerKind
from portal.ledger.queries import list_balances, list_owners
from portal.orders.integrity.proof import TITLES, prove_ledger
from portal.reference.queries import list_currencies

ledger = AppGroup("ledger", help="Prove that the money is right, and look at balances.")
commands = [ledger]

_PREFIXES = {OwnerKind.STORE: "st", OwnerKind.TRADER: "trd", OwnerKind.LEAD: "usr"}


@ledger.command("verify")
@AS_JSON
def verify(as_json: bool) -> None:
    """Check every invariant from the first posting on, and every chain. Exit code 1 when one is broken.

    Compares with the exported heads of AUDIT_HEADS_DIR when it is set. The result is kept, for the metrics and the administrators.
    """
    try:
        findings = prove_ledger()
    except (OSError, UnreadableHeads) as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        broken = [{"check": f.check, "count": f.count, "examples": f.examples} for f in findings]
        echo_json({"ok": not findings, "checks": len(TITLES), "findings": broken})
    else:
        report(findings)
    raise SystemExit(1 if findings else 0)


def report(findings: list[Finding]) -> None:
    """Print each check with what it found."""
    by_name = {finding.check: finding for finding in findings}
    for title in TITLES:
        finding = by_name.get(title)
        echo(f"{'ok    ' if finding is None else 'BROKEN'}  {title}")
        if finding is not None:
            for example in finding.examples:
                echo(f"          {example}")
            if finding.count > len(finding.examples):
                echo(f"          and {finding.count - len(finding.examples)} more")
    echo(
        f"\n{len(findings)} of {len(TITLES)} checks found something broken."
        if findings
        else f"\nAll {len(TITLES)} checks hold."
    )


class Owner(click.ParamType[tuple[OwnerKind, uuid.UUID | None]]):
    """`platform`, `world`, or a public id: st_..., trd_..., usr_... (a lead)."""

    name = "owner"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[OwnerKind, uuid.UUID | None]:
        if value in {"platform", "world"}:
            return OwnerKind(value), None
        for kind, prefix in _PREFIXES.items():
            found = parse_public_id(prefix, str(value))
            if found is not None:
                return kind, found
        return self.fail(f"{value!r} is none of platform, world, st_..., trd_..., usr_...", param, ctx)


@ledger.command("balance")
@click.option(
    "--owner", type=Owner(), help="platform, world, st_..., trd_... or usr_... (a lead); all without."
)
@click.option("--mode", type=click.Choice([mode.value for mode in Mode]), default="live", show_default=True)
@AS_JSON
def balance(owner: tuple[OwnerKind, uuid.UUID | None] | None, mode: str, as_json: bool) -> None:
    """Exact balances, each in its currency."""
    owners = [owner] if owner else list_owners(Mode(mode))
    exponents = {currency.code: currency.exponent for currency in list_currencies()}
    rows = [
        {
            "owner": public_id(_PREFIXES[kind], owner_id) if owner_id else kind.value,
            "owner_kind": kind.value,
            "account": found.kind.value,
            "currency": found.currency,
            "minor": found.minor,
            "amount": format_amount(found.minor, exponents[found.currency]),
        }
        for kind, owner_id in owners
        for found in list_balances(kind, owner_id, Mode(mode))
    ]
    if as_json:
        echo_json(rows)
        return
    for row in rows:
        amount = f"{Decimal(str(row['amount'])):,}"
        echo(f"{row['owner_kind']:9} {row['owner']:31} {row['account']:12} {amount:>24} {row['currency']}")
    if not rows:
        echo("There are no accounts yet.")
