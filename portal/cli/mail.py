"""`flask mail`: what waits to be sent, what was given up, and trying whether the mail server takes a letter."""

from __future__ import annotations

from email.utils import make_msgid

import click
from flask.cli import AppGroup

from portal.cli.json_output import AS_JSON, echo_json
from portal.cli.terminal import echo
from portal.core.actors import Actor, ActorKind
from portal.core.db import transaction
from portal.core.errors import DomainError
from portal.core.queues import QueueName
from portal.mail.outbox import count_outbox
from portal.mail.rendering import Letter
from portal.mail.service import check_address
from portal.mail.transport import NotCarried, transport_for
from portal.queues.service import replay_dead
from portal.settings import get_settings

mail = AppGroup(
    "mail", help="Mail that waits, that was given up, and whether the mail server can be reached."
)


@mail.command("status")
@AS_JSON
def status(*, as_json: bool) -> None:
    """What is in the outbox. Exits with 1 when mail was given up."""
    counts = count_outbox()
    if as_json:
        echo_json(counts)
    else:
        echo(
            f"{counts.pending} waiting, the oldest for {counts.oldest_pending_s:.0f} s; {counts.dead} given up"
        )
    if counts.dead:
        raise SystemExit(1)


@mail.command("replay")
@click.option("--reason", required=True, help="Why, for the audit log.")
@AS_JSON
def replay(*, reason: str, as_json: bool) -> None:
    """Send what was given up again. Exits with 1 when nothing was."""
    try:
        with transaction():
            count = replay_dead(QueueName.MAIL, reason, actor=Actor(ActorKind.OPS))
    except DomainError as error:
        raise click.ClickException(error.detail) from None
    if as_json:
        echo_json({"replayed": count})
    else:
        echo(f"{count} will be sent again")


@mail.command("try")
@click.argument("to")
def try_out(to: str) -> None:
    """Send one letter at once, past the outbox, and say what the mail server answers."""
    settings = get_settings()
    transport = transport_for(settings)
    if transport is None:
        raise click.ClickException("SMTP_HOST is not set: mail waits in the outbox.")
    try:
        check_address(to)
        words = f"Mail from {settings.public_url} arrives."
        transport.carry(Letter(make_msgid("try"), to, "Nostro can send mail", words, f"<p>{words}</p>"))
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    except NotCarried as refusal:
        raise click.ClickException(str(refusal)) from None
    finally:
        transport.rest()
    echo(f"The mail server took a letter to {to}." if settings.smtp_host else "It is in /dev/mailbox.")


commands = [mail]
