"""The proof of the ledger: every check over the whole history, kept as a row, told when something is broken."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import suppress

from psycopg.errors import LockNotAvailable

from portal.audit.chain_proof import WATCHED_TITLE, prove_chains, prove_watched
from portal.audit.chain_silences import TITLE as TIMELY_TITLE
from portal.audit.chain_silences import prove_timeliness
from portal.audit.chains import CHAINS
from portal.audit.findings import Finding
from portal.audit.heads import Head, exported_heads
from portal.core.db import hot, take_time, transaction
from portal.core.schema import catalogue
from portal.core.schema.rights import Roles, rights_differ
from portal.error_reports.queries import latest_proof
from portal.error_reports.service import record_proof
from portal.identity.models import Role
from portal.identity.people.audience import list_holders
from portal.ledger import integrity as ledger_verification
from portal.ledger.integrity import Check, run_checks
from portal.mail.links import ERRORS
from portal.notifications.models import NotificationKind
from portal.notifications.service import notify
from portal.orders.integrity import checks as order_verification
from portal.reference import configuration as config
from portal.settings import get_settings
from portal.table_rights import writer_rights

log = logging.getLogger(__name__)

SUBJECT = "ledger"
CHECKS: tuple[Check, ...] = ledger_verification.CHECKS + order_verification.CHECKS
CATALOGUE_TITLE = "the database's tables, rules, triggers, functions and rights are those of this release"
# What is proved, in the order in which it is told: the checks, the chains, the rows that decide, what guards them all.
TITLES = (
    *(check.name for check in CHECKS),
    *(chain.title for chain in CHAINS),
    TIMELY_TITLE,
    WATCHED_TITLE,
    CATALOGUE_TITLE,
)
_TOLD_CHECKS = 300
_SHOWN = 20


def verify_everything(exported: Sequence[Head] | None = None) -> list[Finding]:
    """Run every check in one read-only snapshot, without the time limit of a request.

    The chains are compared with `exported`, or else with the heads in AUDIT_HEADS_DIR when it is set (a copy from
    before the last export lacks their links). Raises OSError, UnreadableHeads.
    """
    heads = exported_heads() if exported is None else exported
    with transaction():
        hot("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        take_time()
        return _findings(heads)


def _findings(exported: Sequence[Head]) -> list[Finding]:
    chained = prove_chains(CHAINS, exported)
    others = (prove_timeliness(CHAINS), prove_watched(), prove_catalogue())
    return run_checks(CHECKS) + chained + [found for found in others if found]


def prove_catalogue() -> Finding | None:
    """What guards the rows is what this release ships, and on; and nobody may more than they should. Reads only."""
    settings = get_settings()
    roles = Roles(settings.database_writer_role, settings.database_reader_role)
    found = catalogue.differences() + rights_differ(roles, writer_rights)
    return Finding(CATALOGUE_TITLE, len(found), tuple(found[:_SHOWN])) if found else None


def prove_ledger() -> list[Finding]:
    """As `verify_everything`, and keep the result unless the database's role only reads."""
    began_at = time.monotonic()
    findings = verify_everything()
    with transaction():
        if hot("SELECT has_table_privilege('proof_run', 'INSERT') AS may")[0]["may"]:
            _keep(findings, began_at)
    return findings


def prove_ledger_when_due() -> int:
    """As `prove_ledger`, when the last proof is older than the setting says; 1 when it was done.

    One at a time: who finds another at it does nothing. What is broken becomes an error report, and the
    administrators are told of it, once a day for the same checks. Opens its own transactions.
    """
    began_at = time.monotonic()
    with transaction():
        if not _is_due():
            return 0
    with suppress(LockNotAvailable), transaction():
        hot("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        take_time()
        # Locking a table takes no snapshot: what is read next sees the proof of whoever was here before.
        hot("LOCK TABLE proof_run IN SHARE UPDATE EXCLUSIVE MODE NOWAIT")
        if not _is_due():
            return 0
        findings = _findings(exported_heads())
        _keep(findings, began_at)
        if findings:
            _tell(findings)
        return 1
    return 0


def _is_due() -> bool:
    latest = latest_proof(SUBJECT)
    if latest is None:
        return True
    every_s = config.get(config.LEDGER_PROOF_EVERY_S)
    sql = "SELECT clock_timestamp() >= %(at)s + make_interval(secs => %(s)s) AS due"
    return bool(hot(sql, {"at": latest.at, "s": float(every_s)})[0]["due"])


def _keep(findings: list[Finding], began_at: float) -> None:
    record_proof(
        SUBJECT,
        duration_ms=round((time.monotonic() - began_at) * 1000),
        checks=len(TITLES),
        broken=len(findings),
        findings=[{"check": f.check, "count": f.count, "examples": f.examples} for f in findings],
    )


def _tell(findings: list[Finding]) -> None:
    names = "; ".join(sorted(finding.check for finding in findings))[:_TOLD_CHECKS]
    log.error("the proof of the ledger found something broken: %s", names)
    now = hot("SELECT clock_timestamp() AS now")[0]["now"]
    notify(
        list_holders(Role.ADMIN),
        NotificationKind.LEDGER_BROKEN,
        {"checks": names, "at": now.isoformat()},
        ERRORS,
        about=f"{now:%Y-%m-%d} {names}",
    )
