"""`flask doctor`: is everything in place, and what to do where it is not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import click

from portal.audit.chain_silences import LATE_S
from portal.audit.chain_states import list_chain_states
from portal.audit.heads import FILE, UnreadableHeads, find_heads, read_heads
from portal.cli.json_output import AS_JSON, echo_json
from portal.cli.terminal import echo
from portal.core.crypto import newest_key_id
from portal.core.db import hot, transaction
from portal.core.ids import public_id
from portal.merchants.tolerance import list_too_wide
from portal.ops.diagnosis import EXAMINATIONS, Diagnosis, Examination, Grade, examine
from portal.ops.encrypted_columns import COLUMNS
from portal.ops.key_rotation import sample
from portal.orders.integrity.proof import prove_catalogue
from portal.reference.rate_ages import Age, list_rate_ages
from portal.settings import Settings, get_settings

_SAMPLE = 5
_BEGIN_CURE = (
    "After an upgrade from a release without beginnings: flask chains begin. Otherwise somebody deleted links: find out"
    " who, before anything else (docs/operating.md)."
)
# The clock exports once an hour.
_OLD_EXPORT = timedelta(hours=3)
_MARKS = {Grade.OK: "ok      ", Grade.WARNING: "WARNING ", Grade.FAILURE: "FAILURE "}


@click.command("doctor")
@AS_JSON
def doctor(as_json: bool) -> None:
    """Examine configuration, database, Redis, clocks, disk, schema, keys and rates. Exit code 1 on a failure.

    Each finding comes with a cure. Warnings alone leave the exit code at 0. Nothing is changed.
    """
    examined = list(examine(get_settings(), ALL_EXAMINATIONS))
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


def _chains(settings: Settings) -> Iterator[tuple[Grade, str, str]]:
    """The keys that sealed are here, and the heads are taken away often enough."""
    used = {str(row["key_id"]) for row in hot("SELECT DISTINCT key_id FROM chain_link")}
    for key_id in sorted(used - {pair.partition(":")[0] for pair in settings.chain_keys}):
        yield (
            Grade.FAILURE,
            f"Links were sealed with the key {key_id}.",
            "Add it to CHAIN_KEYS, behind the newest.",
        )
    yield from _sealing()
    if settings.audit_heads_dir is None:
        yield (
            Grade.FAILURE if settings.environment == "production" else Grade.WARNING,
            "No heads are exported: whoever has the database could set the whole of it back, and nothing would show it.",
            "Set AUDIT_HEADS_DIR to a folder of another machine, to which the database's administrators do not come.",
        )
        return
    try:
        exported = read_heads(settings.audit_heads_dir / FILE)
    except (OSError, UnreadableHeads) as error:
        yield Grade.FAILURE, str(error), "Put the file back from its copy; see docs/operating.md."
        return
    newest = max((head.at for head in exported if head.at), default=None)
    known = {(head.chain, head.sequence) for head in exported}
    is_old = newest is None or datetime.now(UTC) - newest > _OLD_EXPORT
    if is_old and any((head.chain, head.sequence) not in known for head in find_heads()):
        since = f"{newest:%Y-%m-%d %H:%M} UTC" if newest else "never"
        yield (
            Grade.WARNING,
            f"The chains' heads were exported last: {since}.",
            "Is the clock running? flask audit export-head",
        )
    else:
        yield Grade.OK, f"{len(known)} exported heads, {len(used)} keys of chains", ""


def _sealing() -> Iterator[tuple[Grade, str, str]]:
    """Every chain goes on, and somebody is sealing."""
    with transaction():
        states = list_chain_states()
    for state in states:
        if state.stopped:
            yield Grade.FAILURE, f"{state.stopped}. Nothing of it is sealed.", _BEGIN_CURE
        elif state.silent_s > LATE_S:
            yield (
                Grade.WARNING,
                f"{state.chain}: nothing was sealed for {state.silent_s / 3600:.1f} h.",
                "Is the clock running? What is made until then is sealed late, and to be explained.",
            )
    yield Grade.OK, f"{sum(not state.stopped for state in states)} of {len(states)} chains go on", ""


def _rates(_settings: Settings) -> Iterator[tuple[Grade, str, str]]:
    """Warns from half of the age at which orders are refused (`rate_warns_at_percent`)."""
    with transaction():
        ages = list_rate_ages()
    for one in ages:
        said = f"{one.pair} is {one.age_s or 0:.0f} s old of {one.stale_after_s} s"
        if one.age is Age.STALE:
            yield Grade.FAILURE, f"{said}: orders that need it are refused.", one.cure
        elif one.age is Age.AGEING:
            yield Grade.WARNING, f"{said}: soon orders that need it are refused.", one.cure
    missing = [one for one in ages if one.age is Age.MISSING]
    if missing:
        pairs = ", ".join(one.pair for one in missing)
        yield Grade.WARNING, f"No rate yet: {pairs}. Orders that need it are refused.", missing[0].cure
    if all(one.age is Age.FRESH for one in ages):
        yield Grade.OK, f"{len(ages)} rates are fresh", ""


def _tolerances(_settings: Settings) -> Iterator[tuple[Grade, str, str]]:
    """Within its tolerance one of the staff completes alone above an order's amount."""
    with transaction():
        wide = [public_id("st", store_id) for store_id in list_too_wide()]
    for store in wide:
        yield (
            Grade.WARNING,
            f"{store} has a wider tolerance than can be set: one person completes alone what takes two elsewhere.",
            f"flask stores tolerance {store} --bps ... --amount ... --reason ...",
        )
    if not wide:
        yield Grade.OK, "no store's tolerance is wider than can be set", ""


_WHO = """
SELECT r.rolname AS name, r.rolsuper AS is_superuser, pg_has_role(c.relowner, 'MEMBER') AS is_owner
  FROM pg_roles r, pg_class c WHERE r.rolname = current_user AND c.oid = 'public.ledger_entry'::regclass
"""


def _database_role(settings: Settings) -> Iterator[tuple[Grade, str, str]]:
    """Whoever serves should be able to add to the history, and to do nothing else with it."""
    with transaction():
        who = hot(_WHO)[0]
    power = "a superuser" if who["is_superuser"] else "the owner of the tables" if who["is_owner"] else ""
    if not power:
        yield Grade.OK, f"connected as {who['name']}, which owns nothing", ""
        return
    yield (
        Grade.WARNING if settings.environment == "production" else Grade.OK,
        f"connected as {who['name']}, {power}: it could change history and switch triggers off",
        f"Make the roles with deploy/postgres/roles.sql, and connect as {settings.database_writer_role}"
        " (docs/running.md)." if settings.environment == "production" else "",
    )  # fmt: skip


def _catalogue(_settings: Settings) -> Iterator[tuple[Grade, str, str]]:
    with transaction():
        found = prove_catalogue()
    if found is None:
        yield Grade.OK, "tables, rules, triggers, functions and rights are those of this release", ""
        return
    for example in found.examples:
        yield Grade.FAILURE, example, "Find out who did that; docs/operating.md says how to put it back."


DATABASE_ROLE = Examination("database role", _database_role, needs_database=True)
CATALOGUE = Examination("catalogue", _catalogue, needs_database=True)
KEY_MATERIAL = Examination("key material", _key_material, needs_database=True)
CHAINS = Examination("chains", _chains, needs_database=True)
RATES = Examination("rates", _rates, needs_database=True)
TOLERANCES = Examination("tolerances", _tolerances, needs_database=True)
ALL_EXAMINATIONS = (*EXAMINATIONS, KEY_MATERIAL, CHAINS, RATES, TOLERANCES, DATABASE_ROLE, CATALOGUE)
commands = [doctor]
