"""Who acts on a page, as every verb and the audit log take it."""

from __future__ import annotations

from flask_login import current_user

from portal.core.actors import Actor
from portal.identity.acting import actor_of
from portal.web.shell.origin import current_origin


def acting_person() -> Actor:
    """The signed-in person, with where the request comes from."""
    actor = actor_of(current_user.id, current_user.session.roles)
    return Actor(actor.kind, actor.id, current_origin())
