"""Reading errors and proofs, for administrators and the exporter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_, select, tuple_

from portal.core.db import db
from portal.core.db.keyset import words_like
from portal.core.errors import NotFound
from portal.error_reports.models import ErrorReport, ProofRun


@dataclass(frozen=True, slots=True)
class ErrorFilter:
    """Empty takes everything. `is_handled` None: both; `words` are looked for in kind and sample."""

    kind: str = ""
    role: str = ""
    words: str = ""
    request_id: str = ""
    is_handled: bool | None = None


def list_error_reports(
    narrow: ErrorFilter = ErrorFilter(), *, after: tuple[datetime, int] | None = None, limit: int = 50
) -> list[ErrorReport]:
    """The latest first. `after` is last_at and id of the last one of the page before."""
    query = select(ErrorReport).order_by(ErrorReport.last_at.desc(), ErrorReport.id.desc()).limit(limit)
    if after is not None:
        query = query.where(tuple_(ErrorReport.last_at, ErrorReport.id) < after)
    if narrow.kind:
        query = query.where(ErrorReport.kind == narrow.kind)
    if narrow.role:
        query = query.where(ErrorReport.role == narrow.role)
    if narrow.request_id:
        query = query.where(ErrorReport.request_ids.contains([narrow.request_id]))
    if narrow.is_handled is not None:
        query = query.where(ErrorReport.handled_at.is_not(None) == narrow.is_handled)
    if (like := words_like(narrow.words)) is not None:
        query = query.where(or_(*(c.ilike(like) for c in (ErrorReport.kind, ErrorReport.sample))))
    return list(db.session.scalars(query))


def get_error_report(report_id: int) -> ErrorReport:
    """One kind of error in one place. Raises NotFound."""
    report = db.session.get(ErrorReport, report_id)
    if report is None:
        raise NotFound("There is no such error.")
    return report


def count_unhandled() -> int:
    """How many kinds of errors nobody has looked at."""
    query = select(func.count()).select_from(ErrorReport).where(ErrorReport.handled_at.is_(None))
    return db.session.scalar(query) or 0


def find_error_reports_of_request(request_id: str, *, limit: int = 20) -> list[ErrorReport]:
    """What went wrong in this request, as far as it is among the latest ids of its row."""
    query = select(ErrorReport).where(ErrorReport.request_ids.contains([request_id])).limit(limit)
    return list(db.session.scalars(query))


def latest_proof(subject: str) -> ProofRun | None:
    """The last run of this proof."""
    query = select(ProofRun).where(ProofRun.subject == subject).order_by(ProofRun.id.desc()).limit(1)
    return db.session.scalar(query)
