"""The form by which somebody's access is changed: what it was filled with, as a change of what they have now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict

from portal.core.permissions import Permission, Reach
from portal.identity.access.changes import Access, AccessChange
from portal.identity.models import Role
from portal.web.labels.reaches import GIVEN

DENIED = "denied"
# These need a trader or a merchant besides: they come with an invitation.
BY_INVITATION = frozenset({Role.TRADER, Role.MERCHANT})


@dataclass(frozen=True, slots=True)
class AccessForm:
    """What was chosen: roles, and for each permission "" (as the roles say), a reach or DENIED."""

    roles: frozenset[Role]
    chosen: Mapping[Permission, str]
    reason: str = ""

    def change_of(self, access: Access) -> AccessChange:
        """What would have to happen for this person to have what was chosen."""
        now = given_now(access)
        differs = {p: choice for p, choice in self.chosen.items() if choice != now.get(p, "")}
        return AccessChange(
            add_roles=self.roles - access.roles - BY_INVITATION,
            remove_roles=access.roles - self.roles,
            grant={p: Reach(choice) for p, choice in differs.items() if choice not in {"", DENIED}},
            deny=frozenset(p for p, choice in differs.items() if choice == DENIED),
            clear=frozenset(p for p, choice in differs.items() if not choice),
        )


def given_now(access: Access) -> dict[Permission, str]:
    """What stands beyond the roles."""
    return {g.permission: g.reach.value if g.reach else DENIED for g in access.grants}


def form_of(access: Access) -> AccessForm:
    """As they are now."""
    return AccessForm(access.roles, given_now(access))


def read_form(values: MultiDict[str, str], access: Access) -> AccessForm:
    """What was sent; what is no role, permission or choice is left out. Fields that are missing stay as they are."""
    names = {value for value, _words in choices()}
    roles = frozenset(Role(name) for name in values.getlist("role") if name in set(Role))
    now = given_now(access)
    chosen = {p: values.get(f"permission-{p.value}", now.get(p, "")) for p in Permission}
    return AccessForm(
        roles,
        {p: choice for p, choice in chosen.items() if choice in names},
        values.get("reason", ""),
    )


def choices() -> tuple[tuple[str, str], ...]:
    return (
        ("", _("as the roles say")),
        *((reach.value, str(words)) for reach, words in GIVEN.items()),
        (DENIED, _("deny")),
    )
