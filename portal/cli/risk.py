"""flask risk: rules, lists, and trying a rule on the past before it is switched on."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import click
from flask.cli import AppGroup

from portal.cli.origin import OPS
from portal.cli.terminal import echo
from portal.core.db import run_in_transaction, transaction
from portal.core.errors import DomainError
from portal.core.ids import parse_public_id, public_id
from portal.core.money import format_amount
from portal.orders.queries import get_order
from portal.orders.record import OrderRecord
from portal.orders.service import refuse_review, release_review
from portal.reference.models import RequisiteKind
from portal.reference.queries import get_currency
from portal.reference.requisite_numbers import normalise
from portal.risk import rule_changes, trial
from portal.risk.facts import FACTS
from portal.risk.models import ListKind, ListName, RiskAction, RiskRule, RuleMode
from portal.risk.queries import get_rule, list_entries, list_rules, list_waiting
from portal.risk.rules import read_conditions

risk = AppGroup("risk", help="Rules and lists that let orders through, hold them for review, or refuse them.")
rules = AppGroup("rules", help="Rules: when all conditions hold, an action.")
lists = AppGroup("lists", help="Block and allow lists.")
risk.add_command(rules)
risk.add_command(lists)
commands = [risk]

_list_name = click.argument("list_name", metavar="LIST", type=click.Choice([name.value for name in ListName]))
_kind = click.argument("kind", type=click.Choice([kind.value for kind in ListKind]))


@risk.command("queue")
def queue() -> None:
    """Live orders that wait for a decision, oldest first."""
    found = list_waiting()
    for order in found:
        amount = format_amount(order.amount_minor, get_currency(order.currency).exponent)
        until = f"until {order.due_at:%H:%M:%S} UTC" if order.due_at else ""
        reasons = ", ".join(order.reasons) or "no reason was kept"
        shown = public_id("ord", order.order_id)
        echo(f"{shown}  {order.direction:<6} {amount:>14} {order.currency}  {until}  {reasons}")
    if not found:
        echo("Nothing waits.")


@risk.command("release")
@click.argument("order_id")
@click.option("--reason", help="Kept in the order's timeline.")
def release(order_id: str, reason: str | None) -> None:
    """Let an order that waits go on: it is matched."""
    _decide(order_id, lambda order: release_review(order, reason, actor=OPS))


@risk.command("refuse")
@click.argument("order_id")
def refuse(order_id: str) -> None:
    """End an order that waits; what a payout held goes back."""
    _decide(order_id, lambda order: refuse_review(order, actor=OPS))


def _decide(order_id: str, verb: Callable[[OrderRecord], OrderRecord]) -> None:
    parsed = parse_public_id("ord", order_id)
    if parsed is None:
        raise click.ClickException("This is not the id of an order.")
    try:
        decided = run_in_transaction(lambda: verb(get_order(parsed, lock=True)))
    except DomainError as error:
        raise click.ClickException(error.detail) from None
    echo(f"{order_id} is now {decided.status}")


@rules.command("facts")
def facts() -> None:
    """What conditions can ask about."""
    for fact in FACTS.values():
        window = ", needs minutes" if fact.has_window else ""
        echo(f"{fact.name:<24} {fact.type.value + window:<24} {fact.sentence}")


@rules.command("list")
def list_all() -> None:
    """All rules by priority."""
    found = list_rules()
    for rule in found:
        echo(_line(rule))
    if not found:
        echo("No rules yet. Add one with: flask risk rules add NAME ACTION CONDITIONS")


def _line(rule: RiskRule) -> str:
    conditions = " and ".join(
        f"{condition['fact']} {condition['op']} {json.dumps(condition['value'])}"
        + (f" in {condition['minutes']} min" if "minutes" in condition else "")
        for condition in rule.conditions
    )
    return f"{rule.priority:>4}  {rule.mode:<6} {rule.action:<6} {rule.name} (v{rule.version}): {conditions}"


@rules.command("add")
@click.argument("name")
@click.argument("action", type=click.Choice([action.value for action in RiskAction]))
@click.argument("conditions")
@click.option("--priority", default=100, show_default=True, help="1 is asked first.")
def add(name: str, action: str, conditions: str, priority: int) -> None:
    """Add a rule, switched off. CONDITIONS is a JSON list, such as
    '[{"fact": "customer_orders", "op": "gt", "value": 5, "minutes": 60}]'."""
    try:
        given = json.loads(conditions)
    except ValueError:
        raise click.ClickException("The conditions are not JSON.") from None
    try:
        with transaction():
            rule = rule_changes.add_rule(name, given, RiskAction(action), OPS, priority=priority)
    except DomainError as error:
        raise click.ClickException(error.detail) from None
    echo(_line(rule))
    echo(f"Try it on the past with: flask risk rules try {json.dumps(rule.name)}")


@rules.command("mode")
@click.argument("name")
@click.argument("mode", type=click.Choice([mode.value for mode in RuleMode]))
def mode(name: str, mode: str) -> None:
    """Switch a rule off, to shadow (recorded, changes nothing), or on."""
    try:
        with transaction():
            rule = rule_changes.set_mode(name, RuleMode(mode), OPS)
    except DomainError as error:
        raise click.ClickException(error.detail) from None
    echo(_line(rule))


@rules.command("try")
@click.argument("name")
def try_rule(name: str) -> None:
    """How often a rule would have fired in the last 30 days of live orders. Changes nothing."""
    try:
        conditions = read_conditions(get_rule(name).conditions)
    except DomainError as error:
        raise click.ClickException(error.detail) from None
    with click.progressbar(length=trial.count_past_orders(), label="Orders", file=sys.stderr) as bar:
        result = trial.try_rule(conditions, bar.update)
    echo(f"{result.fired} of {result.looked_at} orders of the last {trial.DAYS} days")
    for status, count in result.fired_by_status.most_common():
        echo(f"  {count} now {status}")
    if result.sample:
        echo("Newest: " + ", ".join(public_id("ord", order_id) for order_id in result.sample))
    if result.is_cut:
        echo(f"Only the newest {trial.MAX_ORDERS} orders were looked at.")
    if result.unknown_facts:
        echo(f"Not known of past orders, so never held: {', '.join(result.unknown_facts)}")


@lists.command("show")
def show() -> None:
    """All entries, newest first."""
    for entry in list_entries():
        until = f"until {entry.expires_at:%Y-%m-%d %H:%M} UTC" if entry.expires_at else "for good"
        value = entry.value[:12] + "..." if entry.kind == ListKind.REQUISITE_NUMBER.value else entry.value
        echo(f"{entry.list:<5} {entry.kind:<16} {value}  {until}  {entry.reason}")


@lists.command("add")
@_list_name
@_kind
@click.argument("value")
@click.option("--reason", required=True)
@click.option("--days", type=click.IntRange(1, 3650), help="Until when; for good without it.")
@click.option("--number-of", "number_kind", type=click.Choice([kind.value for kind in RequisiteKind]))
@click.option("--currency", help="Currency of a requisite number.")
def add_entry(
    list_name: str, kind: str, value: str, reason: str, days: int | None, **number: str | None
) -> None:
    """Block or allow a customer (st_...:customer-id), ip, network, requisite number or email domain."""
    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None
    try:
        given = _value(kind, value, **number)
        with transaction():
            rule_changes.add_entry(
                ListName(list_name), ListKind(kind), given, reason, OPS, expires_at=expires_at
            )
    except DomainError as error:
        raise click.ClickException(error.detail) from None
    echo("in force")


@lists.command("remove")
@_list_name
@_kind
@click.argument("value")
@click.option("--number-of", "number_kind", type=click.Choice([kind.value for kind in RequisiteKind]))
@click.option("--currency", help="Currency of a requisite number.")
def remove_entry(list_name: str, kind: str, value: str, **number: str | None) -> None:
    """Take somebody off a list."""
    try:
        given = _value(kind, value, **number)
        with transaction():
            rule_changes.remove_entry(ListName(list_name), ListKind(kind), given, OPS)
    except DomainError as error:
        raise click.ClickException(error.detail) from None
    echo("removed")


def _value(kind: str, value: str, number_kind: str | None, currency: str | None) -> str:
    """A requisite number is compared in its canonical form, so its kind and currency must be known."""
    if kind != ListKind.REQUISITE_NUMBER.value:
        return value
    if not number_kind or not currency:
        raise click.UsageError("A requisite number needs --number-of and --currency.")
    return normalise(number_kind, value, currency.upper()).number
