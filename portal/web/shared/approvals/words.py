"""What takes two people, in the reader's language: states, and for each kind what a request of it says."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask_babel import gettext as _
from flask_babel.speaklater import LazyString

from portal.approvals.kinds import Preview
from portal.approvals.models import ApprovalRequest, ApprovalState
from portal.web.labels.approval_states import state_pill

Names = Mapping[uuid.UUID, str]


@dataclass(frozen=True, slots=True)
class KindWords:
    """`title` names a request, `page` is where its subject stands, `asked` says word for word what was proposed.

    `sentence` says what an approval does; `line` names a line of the preview, `figure` a figure of it that is a text.
    `before` and `after` are the heads of the preview's two sides, `done` follows an approval.
    """

    label: LazyString
    title: Callable[[ApprovalRequest, Names], str]
    page: Callable[[ApprovalRequest], str | None]
    asked: Callable[[ApprovalRequest], Sequence[tuple[str, str]]]
    sentence: Callable[[Any, Preview], str]
    line: Callable[[str], str]
    figure: Callable[[str | None], str]
    before: LazyString
    after: LazyString
    done: LazyString


def state_choices() -> Sequence[tuple[str, str]]:
    states = [state for state in ApprovalState if state is not ApprovalState.WAITING]
    return [*((state.value, state_pill(state)[1]) for state in states), ("all", _("All"))]


def words_of_kind(name: str) -> KindWords:
    from portal.web.shared.approvals.access_words import ACCESS_WORDS
    from portal.web.shared.approvals.completion_words import COMPLETION_WORDS, DISPUTE_WORDS

    known = {"access": ACCESS_WORDS, "completion": COMPLETION_WORDS, "dispute_completion": DISPUTE_WORDS}
    return known[name]
