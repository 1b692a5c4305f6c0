"""The list of logins as administrators see it, and the tabs above all lists of people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from flask import request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user

from portal.core.cursors import position_of, value_and_id_in
from portal.core.permissions import Permission
from portal.identity.models import Role
from portal.identity.people.people_list import (
    PeopleFilter,
    PersonRow,
    PersonSort,
    PersonState,
    count_people,
    list_people_rows,
)
from portal.web.labels.person_states import person_pill, person_state_choices
from portal.web.labels.roles import role_names
from portal.web.ui.lists.declaration import Asked, Cell, Column, Filter, Kind, Listing


class Tab(NamedTuple):
    """What the macro of tabs takes."""

    href: str
    words: str
    is_current: bool
    number: int | None = None


class Count(NamedTuple):
    """How many are in one state, and where they are listed."""

    words: str
    number: int
    href: str
    tone: str | None = None


def tabs() -> list[Tab]:
    """The lists of people that this visitor may open."""
    role = request.args.get("role", "") if request.endpoint == "admin.people" else None
    shown: list[Tab] = []
    if current_user.can(Permission.PERSON_VIEW):
        for value, words in (("", _("All")), ("admin", _("Administrators")), ("support", _("Support"))):
            shown.append(Tab(url_for("admin.people", role=value or None), words, role == value))
        shown.append(Tab(url_for("admin.leads"), _("Team leads"), request.endpoint == "admin.leads"))
    if current_user.can(Permission.TRADER_VIEW):
        shown.append(Tab(url_for("admin.traders"), _("Traders"), request.endpoint == "admin.traders"))
    if current_user.can(Permission.MERCHANT_VIEW):
        shown.append(Tab(url_for("admin.merchants"), _("Merchants"), request.endpoint == "admin.merchants"))
    if current_user.can(Permission.PERSON_INVITE):
        shown.append(
            Tab(url_for("admin.invitations"), _("Invitations"), request.endpoint == "admin.invitations")
        )
    return shown


def role_choices() -> Sequence[tuple[str, str]]:
    return tuple((role.value, role_names([role])) for role in Role)


def _state_pill(row: PersonRow) -> tuple[str, str]:
    return person_pill(is_active=row.is_active, is_online=row.is_online)


def _factor_pill(row: PersonRow) -> tuple[str, str]:
    return ("green", _("Yes")) if row.has_second_factor else ("yellow", _("No"))


def _columns() -> tuple[Column[PersonRow], ...]:
    return (
        Column(
            "name", _l("Name"), lambda row: row.name, sort=PersonSort.NAME.value, is_optional=False,
            link=lambda row: url_for("admin.person", person_id=row.id),
        ),
        Column("email", _l("Email"), lambda row: row.email, sort=PersonSort.EMAIL.value),
        Column("roles", _l("Roles"), lambda row: role_names(row.roles)),
        Column("state", _l("State"), _state_pill, Cell.PILL),
        Column("factor", _l("Second factor"), _factor_pill, Cell.PILL),
        Column("seen", _l("Last seen"), lambda row: row.last_seen_at, Cell.MOMENT, sort=PersonSort.SEEN.value),
        Column("created", _l("Joined"), lambda row: row.created_at, Cell.MOMENT, sort=PersonSort.CREATED.value, is_shown=False),
    )  # fmt: skip


def _narrow(asked: Asked) -> PeopleFilter:
    role, state = asked.get("role"), asked.get("state")
    return PeopleFilter(Role(role) if role else None, PersonState(state) if state else None, asked.get("q"))


def _fetch(asked: Asked) -> list[PersonRow]:
    return list_people_rows(
        _narrow(asked), PersonSort(asked.sort), is_descending=asked.is_descending, after=value_and_id_in(asked.after),
        limit=asked.limit,
    )  # fmt: skip


def people_listing() -> Listing[PersonRow]:
    return Listing(
        name="people",
        columns=_columns(),
        fetch=_fetch,
        position=lambda row: position_of(row.sort_key, row.id),
        endpoint="admin.people",
        export_endpoint="admin.export_people" if current_user.can(Permission.PERSON_EXPORT) else None,
        default_sort="name",
        title=_l("People"),
        empty_title=_l("Nobody is here yet"),
        empty_next=_l("Invite somebody: they get a link and pick their own password."),
        icon="users",
        filters=(
            Filter("q", _l("Search"), hint=_l("Name or email")),
            Filter("role", _l("Role"), Kind.CHOICE, role_choices),
            Filter("state", _l("State"), Kind.CHOICE, person_state_choices),
        ),
    )


def people_counts() -> list[Count]:
    """How many of this role are in each state."""
    role = request.args.get("role", "")
    kept = Role(role) if role in set(Role) else None
    counts = count_people(PeopleFilter(kept))
    tones = {"blocked": "bad", "no_factor": "warn"}
    return [
        Count(
            words, counts[name], url_for("admin.people", role=kept, state=name),
            tones.get(name) if counts[name] else None,
        )
        for name, words in person_state_choices()
    ]  # fmt: skip
