"""`flask queues`: what waits, who works, what was given up; stop a queue, let it go on, try again."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import click
from flask.cli import AppGroup

from portal.cli.json_output import AS_JSON, echo_json
from portal.cli.terminal import echo
from portal.core.actors import Actor, ActorKind
from portal.core.db import transaction
from portal.core.errors import DomainError
from portal.core.processes.presence import list_workers
from portal.core.queues import QueueName
from portal.queues import service
from portal.queues.figures import list_dead_letters, list_queues

queues = AppGroup(
    "queues", help="Queues of work: look, pause, drain, resume, and try again or dismiss what was given up."
)
commands = [queues]

_OPS = Actor(ActorKind.OPS)
QUEUE = click.argument("queue", type=click.Choice([name.value for name in QueueName]))
REASON = click.option("--reason", required=True, help="Why, for the audit log.")


@queues.command("list")
@AS_JSON
def list_all(as_json: bool) -> None:
    """Every queue with its depth, age, rate, failures and dead, and who works. Exit code 1 while something of ours is dead.

    Webhooks die by their stores' servers: those are counted, and the stores are told.
    """
    with transaction():
        found, workers = list_queues(), list_workers()
    if as_json:
        said = {"queues": found, "workers": workers}
        echo_json(said)
    else:
        echo(
            f"{'queue':12} {'state':9} {'waiting':>8} {'oldest':>9} {'a minute':>9} {'failing':>8} {'dead':>6}"
        )
        for one in found:
            log = one.backlog
            rate = "-" if log.per_minute is None else f"{log.per_minute:.1f}"
            echo(
                f"{one.name:12} {one.state:9} {log.depth:8} {log.oldest_s:7.0f} s {rate:>9} {log.failing:8} {log.dead:6}"
            )
        for worker in workers:
            state = f"silent for {worker.silent_s:.0f} s" if worker.is_silent else worker.doing or "waits"
            echo(f"{worker.role}/{worker.part} {worker.host}:{worker.pid}  {state}; {worker.done} done")
    ours = (one for one in found if one.name is not QueueName.WEBHOOKS)
    raise SystemExit(1 if any(one.backlog.dead for one in ours) else 0)


@queues.command("pause")
@QUEUE
@REASON
@AS_JSON
def pause(queue: str, reason: str, as_json: bool) -> None:
    """Take no more work from a queue; what is in hand is finished. In force within seconds."""
    _change(queue, service.pause_queue, reason, as_json=as_json)


@queues.command("drain")
@QUEUE
@REASON
@AS_JSON
def drain(queue: str, reason: str, as_json: bool) -> None:
    """Try what is due now once more, then pause."""
    _change(queue, service.drain_queue, reason, as_json=as_json)


@queues.command("resume")
@QUEUE
@REASON
@AS_JSON
def resume(queue: str, reason: str, as_json: bool) -> None:
    """Take work from a queue again."""
    _change(queue, service.resume_queue, reason, as_json=as_json)


def _change(queue: str, verb: Callable[..., bool], reason: str, *, as_json: bool) -> None:
    try:
        with transaction():
            changed = verb(QueueName(queue), reason, actor=_OPS)
    except DomainError as error:
        raise click.ClickException(error.detail) from None
    with transaction():
        state = next(one.state for one in list_queues() if one.name == queue)
    if as_json:
        echo_json({"queue": queue, "state": state, "changed": changed})
    else:
        echo(f"{queue} is {state}{'' if changed else ', as before'}.")


@queues.command("dead")
@QUEUE
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@AS_JSON
def dead(queue: str, limit: int, as_json: bool) -> None:
    """What a queue gave up, the latest first. Exit code 1 when there is something."""
    with transaction():
        found = list_dead_letters(QueueName(queue), limit)
    if as_json:
        echo_json(found)
    else:
        for one in found:
            echo(f"{one.id}  {one.died_at:%Y-%m-%d %H:%M:%S}  {one.what} {one.about}  {one.error}")
        if not found:
            echo("Nothing was given up.")
    raise SystemExit(1 if found else 0)


@queues.command("replay")
@QUEUE
@click.argument("ids", nargs=-1, type=click.UUID)
@click.option("--all", "is_all", is_flag=True, help="Everything that the queue gave up.")
@REASON
@AS_JSON
def replay(queue: str, ids: tuple[uuid.UUID, ...], is_all: bool, reason: str, as_json: bool) -> None:
    """Try again what was given up: these ids, or all with --all."""
    count = _of_dead(service.replay_dead, queue, ids, reason, is_all=is_all)
    if as_json:
        echo_json({"queue": queue, "replayed": count})
    else:
        echo(f"{count} will be tried again.")


@queues.command("dismiss")
@QUEUE
@click.argument("ids", nargs=-1, type=click.UUID)
@click.option("--all", "is_all", is_flag=True, help="Everything that the queue gave up.")
@REASON
@AS_JSON
def dismiss(queue: str, ids: tuple[uuid.UUID, ...], is_all: bool, reason: str, as_json: bool) -> None:
    """Count what was given up as dead no more: these ids, or all with --all. It is not tried again."""
    count = _of_dead(service.dismiss_dead, queue, ids, reason, is_all=is_all)
    if as_json:
        echo_json({"queue": queue, "dismissed": count})
    else:
        echo(f"{count} dismissed.")


def _of_dead(
    verb: Callable[..., int], queue: str, ids: tuple[uuid.UUID, ...], reason: str, *, is_all: bool
) -> int:
    if bool(ids) == is_all:
        raise click.UsageError("Name which of them, or say --all.")
    chosen: dict[str, Any] = {} if is_all else {"ids": ids}
    try:
        with transaction():
            return verb(QueueName(queue), reason, actor=_OPS, **chosen)
    except DomainError as error:
        raise click.ClickException(error.detail) from None
