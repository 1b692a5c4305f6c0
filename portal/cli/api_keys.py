"""flask api-keys issue|list|revoke|rotate"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import click
from flask.cli import AppGroup

from portal.cli.origin import OPS
from portal.cli.terminal import echo
from portal.core.db import transaction
from portal.core.errors import DomainError
from portal.core.ids import parse_public_id, public_id
from portal.core.modes import Mode
from portal.identity.models import ApiKey, Scope
from portal.identity.tokens import api_keys
from portal.merchants.queries import get_store

group = AppGroup("api-keys", help="Keys of stores for the JSON API.")
commands = [group]


class StoreId(click.ParamType[uuid.UUID]):
    name = "store"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> uuid.UUID:
        parsed = parse_public_id("st", value)
        if parsed is None:
            self.fail(f"{value} is not the id of a store (st_...)", param, ctx)
        return parsed


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise click.ClickException("Give the id of a key, as `flask api-keys list` shows it.") from None


@group.command("issue")
@click.argument("store", type=StoreId())
@click.option("--mode", type=click.Choice([mode.value for mode in Mode]), required=True)
@click.option("--name", default="API key", show_default=True, help="By which its owner recognises it.")
@click.option("--scope", "scopes", multiple=True, type=click.Choice([scope.value for scope in Scope]))
@click.option("--network", "networks", multiple=True, help="Such as 203.0.113.0/24; none means anywhere.")
@click.option(
    "--days", type=click.IntRange(1, 3650), help="Valid for so many days; without it, until revoked."
)
def issue(
    store: uuid.UUID,
    mode: str,
    name: str,
    scopes: tuple[str, ...],
    networks: tuple[str, ...],
    days: int | None,
) -> None:
    """Make a key for STORE (st_...). It is shown once. Without --scope it may do everything."""
    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None
    try:
        with transaction():
            get_store(store)
            key, secret = api_keys.issue_api_key(
                store, Mode(mode), name, [Scope(scope) for scope in scopes] or None,
                allowed_networks=networks, expires_at=expires_at, actor=OPS,
            )  # fmt: skip
    except DomainError as error:
        raise click.ClickException(error.detail) from None
    echo(f"{key.id}  {mode}  {' '.join(key.scopes)}")
    echo(secret)
    echo("Keep it now: it is not shown again.", err=True)


@group.command("list")
@click.argument("store", type=StoreId())
def list_(store: uuid.UUID) -> None:
    """The keys of STORE, newest first."""
    for key in api_keys.list_api_keys(store):
        echo(
            f"{key.id}  {key.mode:4}  ...{key.last4}  {_state(key):30}  {key.name}  [{' '.join(key.scopes)}]"
        )


def _state(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at:%Y-%m-%d %H:%M}Z"
    if key.expires_at is not None:
        return f"until {key.expires_at:%Y-%m-%d %H:%M}Z"
    return "valid"


@group.command("revoke")
@click.argument("store", type=StoreId())
@click.argument("key_id")
def revoke(store: uuid.UUID, key_id: str) -> None:
    """End a key and the access tokens it got; heard everywhere within a second."""
    try:
        with transaction():
            key = api_keys.revoke_api_key(store, _uuid(key_id), actor=OPS)
    except DomainError as error:
        raise click.ClickException(error.detail) from None
    echo(f"{key.id} of {public_id('st', store)} is revoked.")


@group.command("rotate")
@click.argument("store", type=StoreId())
@click.argument("key_id")
@click.option("--overlap-hours", type=click.IntRange(0, 720), default=24, show_default=True)
def rotate(store: uuid.UUID, key_id: str, overlap_hours: int) -> None:
    """Give STORE another key like this one; the former one ends after the overlap."""
    try:
        with transaction():
            key, secret = api_keys.rotate_api_key(
                store, _uuid(key_id), timedelta(hours=overlap_hours), actor=OPS
            )
    except DomainError as error:
        raise click.ClickException(error.detail) from None
    echo(f"{key.id}  {key.mode}")
    echo(secret)
    echo("Keep it now: it is not shown again.", err=True)
