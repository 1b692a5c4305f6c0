"""Kinds of things that take two people, and the register of them.

The package that owns a thing describes its kind; portal.approval_kinds puts all of them here when a process starts.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from portal.core.actors import Actor
from portal.core.errors import NotFound, ValidationFailed
from portal.core.permissions import Permission


class Payload(BaseModel):
    """What is proposed, exactly: the same words give the same hash."""

    model_config = ConfigDict(frozen=True, extra="forbid")


P = TypeVar("P", bound=Payload)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a proposal is about, as the audit log names it. One proposal of a kind waits about it at a time."""

    kind: str
    id: str


def is_themselves(subject: Subject, user_id: uuid.UUID) -> bool:
    return subject == Subject("user", str(user_id))


@dataclass(frozen=True, slots=True)
class Amount:
    minor: int
    currency: str


Figure = Amount | str | None


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that would change. Pages have the words for `what` and for figures that are texts.

    What is `of_the_moment` (a balance) is shown, but may move between the look and the decision.
    """

    what: str
    before: Figure
    after: Figure
    of_the_moment: bool = False


@dataclass(frozen=True, slots=True)
class Preview:
    """What would change, before anybody changes it. `alone_to`: up to this one person needs no second."""

    lines: tuple[Line, ...]
    alone_to: Amount | None = None


@dataclass(frozen=True, slots=True)
class Approved:
    """Two people have agreed: who proposed it and why, who decided, and as whom that person acts."""

    request_id: uuid.UUID
    reason: str
    proposed_by: uuid.UUID
    decided_by: uuid.UUID
    actor: Actor


@dataclass(frozen=True, slots=True)
class Kind(Generic[P]):
    """One kind. All functions run inside transaction().

    `version` says how the subject stands, and locks it on demand; `check` raises a DomainError when it can't be done;
    `apply` does it, inside the decision's transaction; `needs_two` is asked when it is proposed. `told` gives what
    those who may decide are told by bell and mail: `subject` and `amount`, perhaps empty. Whose own the subject `is_own`
    (themselves, or what they have a part in) neither proposes nor decides.
    """

    name: str
    payload: type[P]
    may_propose: Permission
    may_decide: Permission
    moves_money: bool
    subject: Callable[[P], Subject]
    version: Callable[[P, bool], str]
    preview: Callable[[P], Preview]
    check: Callable[[P, Actor], None]
    apply: Callable[[P, Approved], None]
    told: Callable[[P], Mapping[str, str]]
    needs_two: Callable[[P], bool] = field(default=lambda _payload: True)
    is_own: Callable[[Subject, uuid.UUID], bool] = field(default=is_themselves)

    def read(self, stored: Mapping[str, Any]) -> P:
        """The payload of a row. Raises ValidationFailed for one that this release does not know."""
        try:
            return self.payload.model_validate(dict(stored))
        except ValidationError:
            raise ValidationFailed.of(
                "payload", "unknown", "It names what does not exist any more."
            ) from None


_KINDS: dict[str, Kind[Any]] = {}


def register(kind: Kind[Any]) -> None:
    """Make a kind known; again for the same name it takes the place of the former."""
    _KINDS[kind.name] = kind


def get_kind(name: str) -> Kind[Any]:
    """Raises NotFound for a kind that this release does not have."""
    try:
        return _KINDS[name]
    except KeyError:
        raise NotFound("There is no such kind of request.") from None


def list_kinds() -> tuple[Kind[Any], ...]:
    return tuple(_KINDS[name] for name in sorted(_KINDS))
