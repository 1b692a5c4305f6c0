"""`flask users`: the first person, and help for those who can't get in."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import click
from flask.cli import AppGroup

from portal.cli.json_output import AS_JSON, echo_json
from portal.cli.origin import OPS
from portal.cli.terminal import echo
from portal.core.db import transaction
from portal.core.errors import DomainError
from portal.identity.models import Role, User
from portal.identity.people import logins
from portal.identity.queries import find_user_by_email
from portal.identity.tokens.sessions import list_sessions
from portal.mail.links import invitation_page
from portal.reference import configuration as config
from portal.settings import get_settings
from portal.traders.switching_off import switch_off_and_stop

group = AppGroup("users", help="People who sign in.")
commands = [group]

REASON = click.option("--reason", required=True, help="Kept in the audit log.")
EMAIL = click.argument("email")


def _within(work: Callable[[], None]) -> None:
    """One verb in one transaction; a refusal becomes a sentence and exit code 1."""
    try:
        with transaction():
            work()
    except DomainError as error:
        raise click.ClickException(error.detail) from None


def _user(email: str) -> User:
    user = find_user_by_email(email)
    if user is None:
        raise click.ClickException(f"Nobody has the email {email}.")
    return user


@group.command("create-admin")
@EMAIL
@AS_JSON
def create_admin(email: str, as_json: bool) -> None:
    """Print a link, good once, by which EMAIL becomes an administrator and picks a password."""
    ttl_s = config.get(config.INVITATION_TTL_S)
    try:
        with transaction():
            token = logins.invite(
                email, [Role.ADMIN], actor=OPS, invited_by="the operator", ttl_s=ttl_s, by_mail=False
            )
    except DomainError as error:
        raise click.ClickException(error.detail) from None
    link = get_settings().public_url + invitation_page(token)
    if as_json:
        echo_json({"email": email, "link": link, "expires_in_s": ttl_s})
        return
    echo(link)
    echo(f"Good once, for {ttl_s // 3600} hours. It is not shown again.", err=True)


@group.command("list")
@click.option("--role", type=click.Choice([role.value for role in Role]), help="Only these.")
@AS_JSON
def list_(role: str | None, as_json: bool) -> None:
    """Everybody with a login, oldest first."""
    lines = list(_everybody(Role(role) if role else None))
    if as_json:
        echo_json(lines)
        return
    for line in lines:
        state = "on" if line.is_active else "off"
        factor = "factor" if line.has_second_factor else "no factor"
        seen = f"{line.last_seen_at:%Y-%m-%d %H:%M}Z" if line.last_seen_at else "never"
        roles = ",".join(line.roles)
        echo(f"{line.email:40}  {state:3}  {factor:9}  {seen:17}  {roles:20}  {line.name}")


def _everybody(role: Role | None) -> Iterator[logins.PersonLine]:
    after: uuid.UUID | None = None
    while page := logins.list_people(role, after=after):
        yield from page
        after = page[-1].id


@group.command("disable")
@EMAIL
@REASON
def disable(email: str, reason: str) -> None:
    """Let EMAIL in no longer; sessions and tokens end at once."""
    _within(lambda: switch_off_and_stop(_user(email).id, actor=OPS, reason=reason))
    echo(f"{email} is switched off.")


@group.command("enable")
@EMAIL
@REASON
def enable(email: str, reason: str) -> None:
    """Let EMAIL in again."""
    _within(lambda: logins.switch_on(_user(email).id, actor=OPS, reason=reason))
    echo(f"{email} is switched on.")


@group.command("reset-second-factor")
@EMAIL
@REASON
def reset_second_factor(email: str, reason: str) -> None:
    """Take app, passkeys and recovery codes of EMAIL away; sessions end. Be sure who asks you."""
    _within(lambda: logins.reset_second_factor(_user(email).id, actor=OPS, reason=reason))
    echo(f"{email} has no second factor any more and must sign in anew.")


@group.command("sessions")
@EMAIL
@click.option("--end", "is_end", is_flag=True, help="End all of them.")
@click.option("--reason", default="ended by the operator", show_default=True, help="Kept in the audit log.")
@AS_JSON
def sessions(email: str, is_end: bool, reason: str, as_json: bool) -> None:
    """Where EMAIL is signed in."""
    user = _user(email)
    if is_end:
        _within(lambda: logins.end_sessions(user.id, actor=OPS, reason=reason))
    lines = list_sessions(user.id, config.get(config.SESSION_IDLE_S))
    if as_json:
        echo_json(lines)
        return
    for line in lines:
        proven = "second factor" if line.second_factor_at else "password"
        echo(
            f"{line.id}  {line.last_seen_at:%Y-%m-%d %H:%M}Z  {line.ip or '-':15}  {proven:13}  {line.user_agent or '-'}"
        )
