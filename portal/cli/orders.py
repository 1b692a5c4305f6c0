"""`flask orders`: one order explained, and the verbs of support from the console."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import click
from flask.cli import AppGroup

from portal.cli.json_output import AS_JSON, echo_json
from portal.cli.origin import OPS
from portal.cli.terminal import echo
from portal.core.db import transaction
from portal.core.errors import DomainError
from portal.core.ids import parse_public_id, public_id
from portal.core.modes import Mode
from portal.core.money import AmountError, format_amount, parse_amount
from portal.disputes.models import DisputeOutcome
from portal.disputes.service import resolve_dispute
from portal.matching.queries import count_reasons
from portal.matching.service import Wanted, match
from portal.merchants.queries import get_store
from portal.orders.queries import get_match_trace, get_order, list_steps
from portal.orders.record import OrderRecord
from portal.orders.representation import order_object
from portal.orders.service import cancel_order, confirm_payin, confirm_payout
from portal.orders.service.assign import imagined, wanted_of
from portal.reference.queries import current_rate, get_currency

orders = AppGroup("orders", help="Look at an order, learn why it was matched or not, and help it along.")
dispute = AppGroup("dispute", help="Decide disputes.")
orders.add_command(dispute)
commands = [orders]

REASON = click.option("--reason", required=True, help="Kept in the order's timeline.")


class OrderId(click.ParamType[uuid.UUID]):
    name = "order"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> uuid.UUID:
        found = parse_public_id("ord", str(value))
        if found is None:
            self.fail(f"{value!r} is not the id of an order (ord_...)", param, ctx)
        return found


ORDER = click.argument("order_id", metavar="ORDER", type=OrderId())


def _within(work: Callable[[], OrderRecord]) -> OrderRecord:
    """One verb in one transaction; a refusal becomes a sentence and exit code 1."""
    try:
        with transaction():
            return work()
    except DomainError as error:
        raise click.ClickException(f"{error.detail} ({error.code})") from None


def _money(minor: int, currency: str) -> str:
    return f"{format_amount(minor, get_currency(currency).exponent)} {currency}"


@orders.command("show")
@ORDER
@AS_JSON
def show(order_id: uuid.UUID, as_json: bool) -> None:
    """The order as the API gives it (without the requisite's number), and its timeline."""
    order = _within(lambda: get_order(order_id))
    steps = list_steps(order_id)
    facts = order_object(order)
    if as_json:
        timeline = [
            {"at": s.at.isoformat(), "event": s.event, "from": s.from_status, "to": s.to_status,
             "actor": s.actor_kind, "reason": s.reason} for s in steps
        ]  # fmt: skip
        echo_json(facts | {"timeline": timeline})
        return
    for name, value in facts.items():
        if value not in (None, {}, []):
            echo(f"{name:20} {json.dumps(value, default=str) if isinstance(value, dict) else value}")
    echo("")
    for step in steps:
        moved = f"{step.from_status or '-'} -> {step.to_status}"
        echo(
            f"{step.at:%Y-%m-%d %H:%M:%S}Z  {step.event:18} {moved:45} {step.actor_kind:9} {step.reason or ''}"
        )


@orders.command("explain")
@ORDER
@AS_JSON
def explain(order_id: uuid.UUID, as_json: bool) -> None:
    """Why the payin got its requisite, or none: the search as it went, and how things stand now."""
    order = _within(lambda: get_order(order_id))
    if not order.is_payin:
        raise click.ClickException("A payout is offered to traders; the first to accept gets it.")
    now: dict[str, int] | None = None
    if order.method is not None:
        now = _count(wanted_of(order, get_store(order.store_id)))
    trace = get_match_trace(order.id)
    if as_json:
        echo_json({"status": order.status, "search": trace or None, "now": now})
        return
    echo(f"{public_id('ord', order.id)} is {order.status}: {_money(order.amount_minor, order.currency)}")
    if now is None:
        echo("Its method is open: it is matched when the customer chooses one.")
        return
    _print_trace(trace)
    _print_reasons(now)


def _count(wanted: Wanted) -> dict[str, int]:
    with transaction():
        return count_reasons(wanted)


def _print_trace(trace: dict[str, Any]) -> None:
    if not trace:
        echo("Nobody has been looked for yet.")
        return
    if trace.get("exposure"):
        echo(f"Nobody was looked for: a limit of exposure is reached ({trace['exposure']}).")
        return
    if trace.get("before"):
        echo("The preferred trader was asked first:")
        _print_trace(trace["before"])
    taken = trace.get("taken")
    echo(f"Last search: looked at {trace.get('looked_at', 0)} requisites.")
    for reason, count in sorted((trace.get("fell") or {}).items()):
        echo(f"  {count:>7}  {reason}")
    if taken:
        place = f"tier {taken['tier']}, weight {taken['weight']}, found by {trace.get('found_by')}"
        echo(f"  taken: {public_id('req', uuid.UUID(taken['requisite']))} ({place})")
    else:
        echo("  nobody was taken.")


def _print_reasons(counts: dict[str, int]) -> None:
    echo(f"Now: {counts['requisites']} requisites in the bucket, {counts['would_fit']} would fit.")
    for name, count in counts.items():
        if count and name not in {"requisites", "would_fit"}:
            echo(f"  {count:>7}  {name}")


class StoreId(click.ParamType[uuid.UUID]):
    name = "store"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> uuid.UUID:
        found = parse_public_id("st", str(value))
        if found is None:
            self.fail(f"{value!r} is not the id of a store (st_...)", param, ctx)
        return found


@orders.command("try")
@click.option("--store", "store_id", type=StoreId(), required=True)
@click.option("--amount", required=True, help='Such as "1500.00".')
@click.option("--currency", required=True)
@click.option("--method", required=True)
@click.option("--bank")
@click.option("--mode", type=click.Choice([mode.value for mode in Mode]), default="live", show_default=True)
@AS_JSON
def try_(
    store_id: uuid.UUID,
    amount: str,
    currency: str,
    method: str,
    bank: str | None,
    mode: str,
    as_json: bool,
) -> None:
    """Who would get an imaginary payin now. Nothing is reserved."""
    try:
        with transaction():
            store = get_store(store_id)
            minor = parse_amount(amount, get_currency(currency).exponent)
            rate = current_rate(currency, store.settlement_currency, "payin")
            wanted = imagined(store, Mode(mode), method, bank, currency, minor, rate)
            trace = match(wanted, reserve=False).trace
    except DomainError as error:
        raise click.ClickException(f"{error.detail} ({error.code})") from None
    except AmountError as error:
        raise click.ClickException(str(error)) from None
    counts = _count(wanted)
    if as_json:
        echo_json({"search": trace, "now": counts})
        return
    _print_trace(trace)
    _print_reasons(counts)


@orders.command("complete")
@ORDER
@click.option("--amount", help="What was received, if it differs from the order's amount.")
def complete(order_id: uuid.UUID, amount: str | None) -> None:
    """Confirm an order as support would: a payin that was received, a payout that arrived."""

    def work() -> OrderRecord:
        order = get_order(order_id, lock=True)
        if order.is_payin:
            return confirm_payin(order, _received(order, amount), actor=OPS)
        return confirm_payout(order, actor=OPS)

    _say(_within(work))


@orders.command("cancel")
@ORDER
@REASON
def cancel(order_id: uuid.UUID, reason: str) -> None:
    """Cancel an order that is not paid yet; its hold and limits go back."""
    _say(_within(lambda: cancel_order(get_order(order_id, lock=True), reason, actor=OPS)))


@dispute.command("resolve")
@ORDER
@click.option("--outcome", type=click.Choice([outcome.value for outcome in DisputeOutcome]), required=True)
@click.option("--amount", help="What was received, if it differs from the order's amount.")
@REASON
def resolve(order_id: uuid.UUID, outcome: str, amount: str | None, reason: str) -> None:
    """Decide the open dispute over an order."""

    def work() -> OrderRecord:
        order = get_order(order_id, lock=True)
        received = _received(order, amount)
        return resolve_dispute(order, DisputeOutcome(outcome), received, reason, actor=OPS)

    _say(_within(work))


def _received(order: OrderRecord, amount: str | None) -> int | None:
    try:
        return parse_amount(amount, get_currency(order.currency).exponent) if amount else None
    except AmountError as error:
        raise click.ClickException(str(error)) from None


def _say(order: OrderRecord) -> None:
    received = _money(order.actual_minor, order.currency)
    echo(f"{public_id('ord', order.id)} is {order.status} ({received}).")
