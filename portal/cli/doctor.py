"""`flask doctor`: is everything in place, and what to do where it is not."""

from __future__ import annotations

from collections.abc import Iterator

import click

from portal.cli.json_output import AS_JSON, echo_json
from portal.cli.terminal import echo
from portal.core.crypto import newest_key_id
from portal.core.diagnosis import EXAMINATIONS, Diagnosis, Examination, Grade, examine
from portal.core.rotation import sample
from portal.encrypted_columns import COLUMNS
from portal.settings import Settings, get_settings

_SAMPLE = 5
_MARKS = {Grade.OK: "ok      ", Grade.WARNING: "WARNING ", Grade.FAILURE: "FAILURE "}


@click.command("doctor")
@AS_JSON
def doctor(as_json: bool) -> None:
    """Examine configuration, database, Redis, clocks, disk, schema and keys. Exit code 1 on a failure.

    Each finding comes with a cure. Warnings alone leave the exit code at 0. Nothing is changed.
    """
    examined = list(examine(get_settings(), (*EXAMINATIONS, KEY_MATERIAL)))
    failures = sum(found.grade is Grade.FAILURE for found in examined)
    warnings = sum(found.grade is Grade.WARNING for found in examined)
    if as_json:
        said = {"ok": not failures, "failures": failures, "warnings": warnings}
        echo_json(said | {"findings": examined})
    else:
        for found in examined:
            echo(_told(found))
        echo(f"\n{failures} failures, {warnings} warnings.")
    raise SystemExit(1 if failures else 0)


def _told(found: Diagnosis) -> str:
    line = f"{_MARKS[found.grade]} {found.check:14} {found.found}"
    return f"{line}\n{' ' * 24}-> {found.cure}" if found.cure else line


def _key_material(_settings: Settings) -> Iterator[tuple[Grade, str, str]]:
    """The newest values of every encrypted column open with the keys that are configured here."""
    opened = 0
    for column in COLUMNS:
        good, failures = sample(column, _SAMPLE)
        opened += good
        if failures:
            yield (
                Grade.FAILURE,
                f"{len(failures)} of {good + len(failures)} values can't be opened: {failures[0]}",
                "Add the key with which they were written to FIELD_KEYS.",
            )
    said = f"new values are written with {newest_key_id()}; {opened} values of {len(COLUMNS)} columns opened"
    yield Grade.OK, said, ""


KEY_MATERIAL = Examination("key material", _key_material, needs_database=True)
commands = [doctor]
