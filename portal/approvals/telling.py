"""Those who may decide hear what waits for them, and no more of it once it has ended."""

from __future__ import annotations

from typing import Any

from portal.approvals.kinds import Kind, Payload, Subject
from portal.approvals.models import ApprovalRequest
from portal.identity.access.standing import list_holders_for_all
from portal.identity.people.audience import names_of
from portal.mail.links import approval_page
from portal.notifications.models import NotificationKind
from portal.notifications.service import notify, settle


def tell_deciders(request: ApprovalRequest, kind: Kind[Any], payload: Payload) -> None:
    """By bell and mail, in the proposal's transaction. Not who proposed it, nor whose own it is."""
    subject = Subject(request.subject_kind, request.subject_id)
    deciders = [
        person
        for person in list_holders_for_all(kind.may_decide)
        if person != request.proposed_by and not kind.is_own(subject, person)
    ]
    names = names_of([request.proposed_by])
    params = {"what": kind.name, "asked_by": names[request.proposed_by], **kind.told(payload)}
    link = approval_page(request.id)
    notify(deciders, NotificationKind.APPROVAL_WANTED, params, link, about=str(request.id))


def tell_no_more(request: ApprovalRequest) -> None:
    settle((NotificationKind.APPROVAL_WANTED,), [str(request.id)])
