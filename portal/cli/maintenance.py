"""`flask maintenance`: no new money, while what is running finishes."""

from __future__ import annotations

from typing import Any

import click
from flask.cli import AppGroup

from portal.audit.service import record_audit
from portal.cli.json_output import AS_JSON, echo_json
from portal.cli.terminal import echo
from portal.core.actors import Actor, ActorKind
from portal.core.db import transaction
from portal.core.errors import DomainError
from portal.orders.figures.open_orders import count_running_orders
from portal.reference import configuration as config
from portal.reference.maintenance import begin_maintenance, end_maintenance, is_in_maintenance

maintenance = AppGroup(
    "maintenance", help="Refuse new money for a while (503 with Retry-After); running payments finish."
)
commands = [maintenance]

_OPS = Actor(ActorKind.OPS)


@maintenance.command("on")
@click.option("--retry-after", type=int, help="Seconds after which programs are told to try again.")
@click.option("--reason", help="Why, for the audit log.")
@AS_JSON
def on(retry_after: int | None, reason: str | None, as_json: bool) -> None:
    """Refuse new orders and new choices of a way to pay, in every process within seconds.

    Claims, confirmations, proofs, cancellations, disputes and deadlines go on.
    """
    try:
        with transaction():
            if begin_maintenance(_OPS, retry_after_s=retry_after):
                record_audit("maintenance.begun", actor=_OPS, reason=reason)
    except DomainError as error:
        raise click.ClickException(error.detail) from None
    _tell(as_json=as_json)


@maintenance.command("off")
@click.option("--reason", help="Why, for the audit log.")
@AS_JSON
def off(reason: str | None, as_json: bool) -> None:
    """Take new orders again."""
    with transaction():
        if end_maintenance(_OPS):
            record_audit("maintenance.ended", actor=_OPS, reason=reason)
    _tell(as_json=as_json)


@maintenance.command("status")
@AS_JSON
def status(as_json: bool) -> None:
    """Say whether new money is refused, and how many orders are still running."""
    _tell(as_json=as_json)


def _tell(*, as_json: bool) -> None:
    running = count_running_orders()
    told: dict[str, Any] = {
        "maintenance": is_in_maintenance(),
        "retry_after_s": config.get(config.MAINTENANCE_RETRY_AFTER_S),
        "running_orders": sum(running.values()),
        "running_by_status": running,
    }
    if as_json:
        echo_json(told)
        return
    if told["maintenance"]:
        echo(f"On: new orders are refused, with Retry-After {told['retry_after_s']} s.")
    else:
        echo("Off: new orders are taken.")
    by_status = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in running.items())
    echo(f"{told['running_orders']} orders are running{f': {by_status}' if by_status else ''}.")
