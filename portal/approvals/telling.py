"""Those who may decide hear what waits for them, and no more of it once it has ended."""

from __future__ import annotations

from typing import Any

from portal.approvals.kinds import Kind, Payload
from portal.approvals.models import ApprovalRequest
from portal.identity.access.standing import list_holders_for_all
from portal.identity.people.audience import names_of
from portal.mail.links import approval_page
from portal.notifications.models import NotificationKind
from portal.notifications.service import notify, settle


def tell_deciders(request: ApprovalRequest, kind: Kind[Any], payload: Payload) -> None:
    """By bell and mail, in the proposal's transaction. Not who proposed it, nor whom it is about."""
    apart = {str(request.proposed_by), request.subject_id}
    deciders = [person for person in list_holders_for_all(kind.may_decide) if str(person) not in apart]
    names = names_of([request.proposed_by])
    params = {"what": kind.name, "asked_by": names[request.proposed_by], **kind.told(payload)}
    link = approval_page(request.id)
    notify(deciders, NotificationKind.APPROVAL_WANTED, params, link, about=str(request.id))


def tell_no_more(request: ApprovalRequest) -> None:
    settle((NotificationKind.APPROVAL_WANTED,), [str(request.id)])
