"""What whoever did something is, where no name is said: in an order's timeline and in the audit log."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from portal.core.actors import ActorKind

ACTOR: Mapping[ActorKind, LazyString] = {
    ActorKind.CUSTOMER: _l("Customer"),
    ActorKind.MERCHANT: _l("Shop"),
    ActorKind.TRADER: _l("Trader"),
    ActorKind.LEAD: _l("Team lead"),
    ActorKind.SUPPORT: _l("Support"),
    ActorKind.ADMIN: _l("Administrator"),
    ActorKind.SYSTEM: _l("By itself"),
    ActorKind.OPS: _l("Operator"),
}


def actor_words(kind: str) -> str:
    return str(ACTOR[ActorKind(kind)])
