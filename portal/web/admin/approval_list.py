"""What takes two people as a list: of the kinds that this visitor may propose or decide."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import url_for
from flask_babel import lazy_gettext as _l

from portal.approvals.kinds import Kind, list_kinds
from portal.approvals.models import ApprovalRequest, ApprovalState
from portal.approvals.queries import ApprovalFilter, list_requests
from portal.core.cursors import id_in, position_of
from portal.identity.people.audience import names_of
from portal.web.labels.approval_states import state_pill
from portal.web.shared.approvals.words import state_choices, words_of_kind
from portal.web.shared.orders.staff_scope import is_everybodys
from portal.web.ui.lists.declaration import Asked, Cell, Column, Filter, Listing
from portal.web.ui.lists.declaration import Kind as Field


@dataclass(frozen=True, slots=True)
class ApprovalLine:
    """A request with the names of everybody on the page."""

    request: ApprovalRequest
    names: Mapping[uuid.UUID, str]

    @property
    def title(self) -> str:
        return words_of_kind(self.request.kind).title(self.request, self.names)

    def name(self, user_id: uuid.UUID | None) -> str:
        return self.names.get(user_id, "") if user_id else ""


def visible_kinds() -> list[Kind[Any]]:
    """Those that this visitor may propose or decide."""
    return [
        kind for kind in list_kinds() if is_everybodys(kind.may_propose) or is_everybodys(kind.may_decide)
    ]


def lines_of(requests: Sequence[ApprovalRequest]) -> list[ApprovalLine]:
    """With names: one statement for the whole page."""
    people = {person for one in requests for person in (one.proposed_by, one.decided_by) if person}
    people |= {uuid.UUID(one.subject_id) for one in requests if one.subject_kind == "user"}
    names = names_of(people) if people else {}
    return [ApprovalLine(request, names) for request in requests]


def _kind_choices() -> Sequence[tuple[str, str]]:
    return [(kind.name, str(words_of_kind(kind.name).label)) for kind in visible_kinds()]


def _filter_of(asked: Asked) -> ApprovalFilter:
    chosen, state = asked.get("kind"), asked.get("state") or ApprovalState.WAITING.value
    kinds = [kind.name for kind in visible_kinds() if chosen in {None, kind.name}]
    return ApprovalFilter(kinds, None if state == "all" else ApprovalState(state))


def approval_listing() -> Listing[ApprovalLine]:
    def fetch(asked: Asked) -> list[ApprovalLine]:
        found = list_requests(
            _filter_of(asked), asked.limit, after=id_in(asked.after), is_descending=asked.is_descending
        )
        return lines_of(found)

    return Listing(
        name="approvals",
        columns=(
            Column("what", _l("What was asked for"), lambda line: line.title, is_optional=False,
                   link=lambda line: url_for("admin.approval", request_id=line.request.id)),
            Column("kind", _l("Kind"), lambda line: words_of_kind(line.request.kind).label, is_shown=False),
            Column("state", _l("State"), lambda line: state_pill(line.request.state), Cell.PILL),
            Column("who", _l("Proposed by"), lambda line: line.name(line.request.proposed_by)),
            Column("reason", _l("Reason"), lambda line: line.request.reason),
            Column("asked", _l("When"), lambda line: line.request.created_at, Cell.MOMENT, sort="asked"),
            Column("until", _l("Until"), lambda line: line.request.expires_at, Cell.MOMENT),
            Column("decided", _l("Decided by"), lambda line: line.name(line.request.decided_by), is_shown=False),
            Column("ended", _l("Ended"), lambda line: line.request.ended_at, Cell.MOMENT, is_shown=False),
        ),
        fetch=fetch,
        position=lambda line: position_of(line.request.id),
        endpoint="admin.approvals",
        default_sort="-asked",
        title=_l("Approvals"),
        empty_title=_l("Nothing waits for approval"),
        empty_next=_l("When somebody asks for a change that takes two people, it stands here."),
        icon="circle-check",
        filters=(
            Filter("state", _l("State"), Field.CHOICE, state_choices, otherwise=_l("Waits")),
            Filter("kind", _l("Kind"), Field.CHOICE, _kind_choices),
        ),
    )  # fmt: skip
