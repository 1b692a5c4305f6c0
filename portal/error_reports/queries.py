"""Reading errors and proofs, for administrators and the exporter."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from portal.core.db import db
from portal.error_reports.models import ErrorReport, ProofRun


def list_error_reports(
    *, since: datetime | None = None, kind: str = "", before: datetime | None = None, limit: int = 50
) -> list[ErrorReport]:
    """The latest first. `before` is the last_at of the last one of the page before."""
    query = select(ErrorReport).order_by(ErrorReport.last_at.desc(), ErrorReport.id.desc()).limit(limit)
    if since is not None:
        query = query.where(ErrorReport.last_at >= since)
    if before is not None:
        query = query.where(ErrorReport.last_at < before)
    if kind:
        query = query.where(ErrorReport.kind == kind)
    return list(db.session.scalars(query))


def find_error_reports_of_request(request_id: str, *, limit: int = 20) -> list[ErrorReport]:
    """What went wrong in this request, as far as it is among the latest ids of its row."""
    query = select(ErrorReport).where(ErrorReport.request_ids.contains([request_id])).limit(limit)
    return list(db.session.scalars(query))


def latest_proof(subject: str) -> ProofRun | None:
    """The last run of this proof."""
    query = select(ProofRun).where(ProofRun.subject == subject).order_by(ProofRun.id.desc()).limit(1)
    return db.session.scalar(query)
