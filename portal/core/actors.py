"""Who is acting: an argument of every verb, never a global."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from enum import StrEnum


class ActorKind(StrEnum):
    CUSTOMER = "customer"
    MERCHANT = "merchant"
    TRADER = "trader"
    LEAD = "lead"
    SUPPORT = "support"
    ADMIN = "admin"
    SYSTEM = "system"
    OPS = "ops"


# People of the operator's, and their console; not the system by itself.
STAFF = frozenset({ActorKind.SUPPORT, ActorKind.ADMIN, ActorKind.OPS})


@dataclass(frozen=True, slots=True)
class Origin:
    """From where somebody acted: address, program, request and session, as far as they are known."""

    ip: str | None = None
    user_agent: str | None = None
    request_id: str | None = None
    session_id: uuid.UUID | None = None


@dataclass(frozen=True, slots=True)
class Actor:
    """A person (by user, trader or store id), a customer on the payment page, or the system itself.

    `origin` is for the audit log: two actors are the same wherever they act from.
    """

    kind: ActorKind
    id: uuid.UUID | None = None
    origin: Origin | None = field(default=None, compare=False)

    @property
    def is_staff(self) -> bool:
        return self.kind in STAFF

    @property
    def is_by_hand(self) -> bool:
        """Whether somebody acts on a page; a program of theirs proves itself by a key or a token, and has no session."""
        return self.origin is not None and self.origin.session_id is not None


SYSTEM = Actor(ActorKind.SYSTEM)
CUSTOMER = Actor(ActorKind.CUSTOMER)
