"""`flask webhooks`: a store's endpoint, its deliveries, and sending them again."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
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
from portal.webhooks import queries, service
from portal.webhooks.models import DeliveryState, WebhookEndpoint

webhooks = AppGroup("webhooks", help="Where stores are told what happened, and what became of the telling.")
endpoint = AppGroup("endpoint", help="The endpoint of a store, one for each mode.")
webhooks.add_command(endpoint)


class PublicId(click.ParamType[uuid.UUID]):
    """A prefixed id such as st_01h2..., or the plain UUID."""

    name = "id"

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> uuid.UUID:
        if isinstance(value, uuid.UUID):
            return value
        found = parse_public_id(self._prefix, value)
        if found is not None:
            return found
        try:
            return uuid.UUID(value)
        except ValueError:
            self.fail(f"{value!r} is not an id like {self._prefix}_...", param, ctx)


STORE = click.option("--store", "store_id", type=PublicId("st"), required=True, help="The store: st_...")
MODE = click.option("--mode", type=click.Choice([m.value for m in Mode]), default="live", show_default=True)


class Refused(click.ClickException):
    """A refusal of the domain, as a sentence on stderr and exit code 1."""

    def __init__(self, error: DomainError) -> None:
        super().__init__(f"{error.detail} ({error.code})")


def _shown(found: WebhookEndpoint) -> dict[str, Any]:
    return {
        "id": public_id("whe", found.id),
        "store": public_id("st", found.store_id),
        "mode": found.mode,
        "url": found.url,
        "event_types": found.event_types or "all",
        "state": "disabled" if found.disabled_at else "failing" if found.failing_since else "working",
        "disabled_reason": found.disabled_reason,
        "failing_since": _time(found.failing_since),
        "former_secret_until": _time(found.former_secret_until),
    }


def _time(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="seconds") if moment else None


def _print(facts: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        echo_json(facts)
        return
    for name, value in facts.items():
        if value is not None:
            echo(f"{name:20} {', '.join(value) if isinstance(value, list) else value}")


@endpoint.command("set")
@STORE
@MODE
@click.option("--event", "event_types", multiple=True, help="Only this event type (repeatable); default all.")
@AS_JSON
@click.argument("url")
def set_endpoint(
    store_id: uuid.UUID, mode: str, event_types: tuple[str, ...], as_json: bool, url: str
) -> None:
    """Create the store's endpoint or point it at URL. A new endpoint's secret is printed once."""
    try:
        checked = service.check_endpoint_url(url, Mode(mode))
        with transaction():
            found, secret = service.set_endpoint(
                store_id, Mode(mode), checked, event_types or None, actor=OPS
            )
    except DomainError as error:
        raise Refused(error) from None
    _print(_shown(found) | ({"secret": secret} if secret else {}), as_json=as_json)


@endpoint.command("show")
@STORE
@MODE
@AS_JSON
def show_endpoint(store_id: uuid.UUID, mode: str, as_json: bool) -> None:
    """Print the endpoint, without its secret."""
    try:
        found = queries.get_endpoint(store_id, Mode(mode))
    except DomainError as error:
        raise Refused(error) from None
    _print(_shown(found), as_json=as_json)


@endpoint.command("rotate-secret")
@STORE
@MODE
@AS_JSON
def rotate_secret(store_id: uuid.UUID, mode: str, as_json: bool) -> None:
    """Make a new secret and print it once. For 24 hours both secrets sign."""
    try:
        with transaction():
            found, secret = service.rotate_secret(store_id, Mode(mode), actor=OPS)
    except DomainError as error:
        raise Refused(error) from None
    _print(_shown(found) | {"secret": secret}, as_json=as_json)


@endpoint.command("disable")
@STORE
@MODE
@AS_JSON
def disable_endpoint(store_id: uuid.UUID, mode: str, as_json: bool) -> None:
    """Stop sending to the endpoint."""
    try:
        with transaction():
            found = queries.get_endpoint(store_id, Mode(mode), lock=True)
            service.disable_endpoint(found, actor=OPS)
    except DomainError as error:
        raise Refused(error) from None
    _print(_shown(found), as_json=as_json)


@endpoint.command("enable")
@STORE
@MODE
@click.option("--replay-since", type=click.DateTime(), help="Also send what was missed since then (UTC).")
@AS_JSON
def enable_endpoint(store_id: uuid.UUID, mode: str, replay_since: datetime | None, as_json: bool) -> None:
    """Send to the endpoint again."""
    facts: dict[str, Any] = {}
    try:
        with transaction():
            found = queries.get_endpoint(store_id, Mode(mode), lock=True)
            service.enable_endpoint(found, actor=OPS)
            if replay_since:
                facts["replayed"] = service.replay_since(found, replay_since.replace(tzinfo=UTC), actor=OPS)
    except DomainError as error:
        raise Refused(error) from None
    _print(_shown(found) | facts, as_json=as_json)


@webhooks.command("deliveries")
@STORE
@MODE
@click.option("--state", type=click.Choice([s.value for s in DeliveryState]))
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@AS_JSON
def deliveries(store_id: uuid.UUID, mode: str, state: str | None, limit: int, as_json: bool) -> None:
    """List deliveries, newest event first."""
    chosen = DeliveryState(state) if state else None
    lines: list[dict[str, Any]] = [
        {
            "id": public_id("whd", line.id),
            "event": public_id("evt", line.event_id),
            "type": line.event_type,
            "state": line.state,
            "attempts": line.attempts,
            "created_at": _time(line.created_at),
            "next_at": _time(line.next_at) if line.state == DeliveryState.PENDING else None,
            "done_at": _time(line.done_at),
        }
        for line in queries.list_deliveries(store_id, Mode(mode), state=chosen, limit=limit)
    ]
    if as_json:
        echo_json(lines)
        return
    for line in lines:
        when = line["done_at"] or line["next_at"]
        echo(f"{line['id']}  {line['type']:20} {line['state']:10} {line['attempts']:>2} tries  {when}")


@webhooks.command("attempts")
@STORE
@AS_JSON
@click.argument("delivery_id", type=PublicId("whd"))
def attempts(store_id: uuid.UUID, as_json: bool, delivery_id: uuid.UUID) -> None:
    """List the attempts of one delivery with what the receiver answered."""
    lines: list[dict[str, Any]] = [
        {
            "at": _time(made.at),
            "status_code": made.status_code,
            "latency_ms": made.latency_ms,
            "error": made.error,
            "answer": made.answer,
        }
        for made in queries.list_attempts(store_id, delivery_id)
    ]
    if as_json:
        echo_json(lines)
        return
    for line in lines:
        result = line["status_code"] or line["error"]
        echo(f"{line['at']}  {result!s:20} {line['latency_ms']:>6} ms  {(line['answer'] or '')[:60]!r}")


@webhooks.command("redeliver")
@STORE
@MODE
@AS_JSON
@click.argument("delivery_id", type=PublicId("whd"))
def redeliver(store_id: uuid.UUID, mode: str, as_json: bool, delivery_id: uuid.UUID) -> None:
    """Send one delivery again, at once, under the same webhook-id."""
    try:
        with transaction():
            found = service.request_redelivery(store_id, Mode(mode), delivery_id)
    except DomainError as error:
        raise Refused(error) from None
    _print({"id": public_id("whd", found.id), "state": found.state}, as_json=as_json)


commands = [webhooks]
