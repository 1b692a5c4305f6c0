"""`flask keys`: which field keys are in use, and encrypting everything anew with the newest."""

from __future__ import annotations

import time
from typing import Any

import click
from flask.cli import AppGroup

from portal.audit.service import record_audit
from portal.cli.json_output import AS_JSON, echo_json
from portal.cli.progress import Bars
from portal.cli.terminal import echo
from portal.core.actors import Actor, ActorKind
from portal.core.crypto import newest_key_id
from portal.core.db import transaction
from portal.ops.encrypted_columns import COLUMNS
from portal.ops.key_rotation import BATCH, EncryptedColumn, count_by_key, rotate
from portal.settings import get_settings

keys = AppGroup("keys", help="The keys that encrypt numbers, names and secrets in the database.")
commands = [keys]

_OPS = Actor(ActorKind.OPS)
_SHOWN = 5


@keys.command("status")
@AS_JSON
def status(as_json: bool) -> None:
    """Count the values under each key. Exit code 1 when some are under a key that is not configured here."""
    counted = {column.name: count_by_key(column) for column in COLUMNS}
    configured = [pair.split(":", 1)[0] for pair in get_settings().field_keys]
    used = sorted({key for counts in counted.values() for key in counts})
    unknown = [key for key in used if key not in configured]
    unused = [key for key in configured[1:] if key not in used]
    if as_json:
        told = {"ok": not unknown, "newest": configured[0], "unknown": unknown, "unused": unused}
        echo_json(told | {"columns": counted})
    else:
        for name, counts in counted.items():
            values = ", ".join(f"{count} with {key}" for key, count in counts.items())
            echo(f"{name:36} {values or 'none'}")
        echo(f"\nNew values are written with {configured[0]}.")
        for key in unknown:
            echo(f"{key} is not in FIELD_KEYS: its values can't be read.")
        for key in unused:
            echo(f"{key} is not used any more: it can be taken out of FIELD_KEYS.")
    raise SystemExit(1 if unknown else 0)


@keys.command("rotate")
@click.option(
    "--batch", type=click.IntRange(1, 5000), default=BATCH, show_default=True, help="Values at once."
)
@click.option(
    "--pause-ms", type=click.IntRange(0, 60_000), default=0, show_default=True, help="Rest after each batch."
)
@AS_JSON
def rotate_all(batch: int, pause_ms: int, as_json: bool) -> None:
    """Encrypt every value with the newest field key (the first of FIELD_KEYS), while everything goes on.

    Put the new key in front of FIELD_KEYS and restart every process first, so that nobody writes with the
    old one. Can be interrupted and repeated: it goes on where it was. Exit code 1 when a value can't be
    opened; the others are done all the same.
    """
    replaced: dict[str, int] = {}
    refused: list[str] = []
    with Bars(shown=not as_json) as bars:
        for column in COLUMNS:
            replaced[column.name], failures = _rotate_one(column, batch, pause_ms, bars)
            refused += failures
    left = sum(_waiting(column) for column in COLUMNS)
    count = sum(replaced.values())
    if count:
        with transaction():
            record_audit("field_keys.rotated", actor=_OPS, after={"to": newest_key_id(), "values": count})
    told = {"ok": not left, "key": newest_key_id(), "replaced": replaced, "left": left, "refused": refused}
    if as_json:
        echo_json(told)
    else:
        echo(_told(told))
    raise SystemExit(1 if left else 0)


def _rotate_one(column: EncryptedColumn, batch: int, pause_ms: int, bars: Bars) -> tuple[int, list[str]]:
    total, done, replaced = _waiting(column), 0, 0
    refused: list[str] = []
    for step in rotate(column, batch=batch):
        replaced += step.replaced
        refused += step.refused
        done += step.replaced + len(step.refused)
        bars.tell(column.name, min(done, total), total)
        time.sleep(pause_ms / 1000)
    return replaced, refused


def _waiting(column: EncryptedColumn) -> int:
    """Values that are not under the newest key."""
    newest = newest_key_id()
    return sum(count for key, count in count_by_key(column).items() if key != newest)


def _told(told: dict[str, Any]) -> str:
    lines = [f"{count:8} {name}" for name, count in told["replaced"].items()]
    lines.append(f"{sum(told['replaced'].values()):8} values encrypted anew with {told['key']}.")
    lines += [f"CAN'T BE OPENED  {failure}" for failure in told["refused"][:_SHOWN]]
    if len(told["refused"]) > _SHOWN:
        lines.append(f"                 and {len(told['refused']) - _SHOWN} more")
    if told["left"]:
        lines.append(
            f"{told['left']} values are still under other keys: keep those keys, and run this again."
        )
    return "\n".join(lines)
