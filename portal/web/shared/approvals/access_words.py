"""What a request to change somebody's access says."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from flask import url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user

from portal.approvals.access import AccessPayload
from portal.approvals.kinds import Preview
from portal.approvals.models import ApprovalRequest
from portal.core.permissions import Permission
from portal.identity.models import Role
from portal.web.labels.reaches import reach_words
from portal.web.labels.roles import role_names
from portal.web.shared.approvals.words import KindWords, Names


def _title(request: ApprovalRequest, names: Names) -> str:
    return _("What %(name)s may do", name=names.get(uuid.UUID(request.subject_id), ""))


def _page(request: ApprovalRequest) -> str | None:
    if not current_user.can(Permission.PERSON_VIEW):
        return None
    return url_for("admin.person", person_id=uuid.UUID(request.subject_id))


def _asked(request: ApprovalRequest) -> Sequence[tuple[str, str]]:
    """From the row as it stands: what this release does not know any more is shown by its name."""
    change = request.payload
    lines = [(_("Role added"), _role(role)) for role in change["add_roles"]]
    lines += [(_("Role taken away"), _role(role)) for role in change["remove_roles"]]
    lines += [(_("Given"), f"{line(name)}: {reach_words(reach)}") for name, reach in change["grant"].items()]
    lines += [(_("Denied"), line(name)) for name in change["deny"]]
    lines += [(_("As the roles say again"), line(name)) for name in change["clear"]]
    return lines


def _role(name: str) -> str:
    return role_names([Role(name)]) if name in set(Role) else name


def line(name: str) -> str:
    """A permission: its sentence, and its name in brackets."""
    known = set(Permission)
    return f"{Permission(name).sentence} ({name})" if name in known else name


def _sentence(_payload: AccessPayload, preview: Preview) -> str:
    if not preview.lines:
        return _("Nothing they may do changes now; it would, should their roles change.")
    return _("It holds from their next request on; whoever gets or loses a role signs in anew.")


def _figure(reach: str | None) -> str:
    return reach_words(reach) if reach is not None else _("may not")


ACCESS_WORDS = KindWords(
    label=_l("Changes of access"),
    title=_title,
    page=_page,
    asked=_asked,
    sentence=_sentence,
    line=line,
    figure=_figure,
    before=_l("now"),
    after=_l("afterwards"),
    done=_l("Approved: it holds from their next request on."),
)
