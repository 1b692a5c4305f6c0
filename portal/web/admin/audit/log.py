"""`/admin/audit`: who did what, one entry with what it changed, the state of the chain, and all of it as a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flask import render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.audit.heads import find_head
from portal.audit.queries import AuditFilter, count_unsealed, get_entry, list_entries
from portal.audit.service import record_audit
from portal.core.db import transaction
from portal.core.permissions import Permission, requires
from portal.web.admin import blueprint
from portal.web.admin.audit.lines import audit_listing, lines_of, subject_url
from portal.web.shell.acting import acting_person
from portal.web.ui.lists.address import read_asked
from portal.web.ui.lists.export import export
from portal.web.ui.lists.shown import render


@blueprint.get("/audit")
@requires(Permission.AUDIT_VIEW)
def audit() -> ResponseReturnValue:
    verified = list_entries(AuditFilter(action="audit.verified"), 1)
    return render(
        "admin/audit/list.html",
        audit_listing(),
        head=find_head(),
        waiting=count_unsealed(),
        verified=verified[0] if verified else None,
    )


@blueprint.get("/audit.csv")
@requires(Permission.AUDIT_EXPORT)
def export_audit() -> ResponseReturnValue:
    """Taking the log out is itself in the log, with what it was narrowed to."""
    listing = audit_listing()
    narrowed = {name: value for name, value in read_asked(listing).filters.items() if value}
    with transaction():
        record_audit("audit.exported", actor=acting_person(), after={"narrowed_to": narrowed})
    return export(listing)


@blueprint.get("/audit/<int:entry_id>")
@requires(Permission.AUDIT_VIEW)
def audit_entry(entry_id: int) -> ResponseReturnValue:
    found = get_entry(entry_id)
    entry = found.entry
    return render_template(
        "admin/audit/entry.html",
        line=lines_of([entry])[0],
        seal=found.seal,
        subject_url=subject_url(entry),
        changes=list(_changes(entry.before or {}, entry.after or {})),
    )


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Field, before, after: masked as they were written down."""
    for name in sorted(before.keys() | after.keys()):
        yield name, _text(before, name), _text(after, name)


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if isinstance(value, dict):
        return ", ".join(f"{key}: {inner}" for key, inner in sorted(value.items()))
    if isinstance(value, bool):
        return _("Yes") if value else _("No")
    if isinstance(value, list):
        return ", ".join(str(inner) for inner in value)
    return "" if value is None else str(value)
